"""The web server of the Procfile."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import free_port, wait_until
from my_celery_project.runtime.web.testing import ADMIN_TOKEN


@contextmanager
def open_web(fleet: Fleet) -> Iterator[httpx.Client]:
    """Start the web server and yield a client of it, which is an administrator."""
    port = free_port()
    fleet.start("web", WEB_PORT=str(port), APP_ADMIN_TOKEN=ADMIN_TOKEN)
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    # gunicorn closes a connection that was idle for 2 seconds, perhaps while a request is sent.
    limits = httpx.Limits(max_keepalive_connections=0)
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, headers=headers, timeout=20, limits=limits) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        yield client
