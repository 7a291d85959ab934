"""The web server of the Procfile."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import free_port, wait_until


@contextmanager
def open_web(fleet: Fleet, token: str) -> Iterator[httpx.Client]:
    """Yield a client of the web server, which is an administrator.

    Args:
        fleet: The processes of the Procfile.
        token: The token of administrators.
    """
    port = free_port()
    fleet.start("web", WEB_PORT=str(port), APP_ADMIN_TOKEN=token)
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        yield client
