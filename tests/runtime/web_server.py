"""The web server of the Procfile."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import free_port, wait_until
from my_celery_project.runtime.web.testing import ADMIN_TOKEN


@contextmanager
def open_web(fleet: Fleet, **variables: str) -> Iterator[httpx.Client]:
    """Start the web server and yield a client of it, which is an administrator.

    Args:
        fleet: The processes of the project.
        variables: What else to set for the web server.
    """
    port = free_port()
    fleet.start("web", WEB_PORT=str(port), APP_ADMIN_TOKEN=ADMIN_TOKEN, **variables)
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    # gunicorn closes a connection that was idle for 2 seconds, perhaps while a request is sent.
    limits = httpx.Limits(max_keepalive_connections=0)
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, headers=headers, timeout=20, limits=limits) as client:
        wait_until(lambda: is_ready(client))
        yield client


def is_ready(client: httpx.Client) -> bool:
    """Return whether the server answers; uvicorn says so before its processes do."""
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.ConnectError:
        return False
