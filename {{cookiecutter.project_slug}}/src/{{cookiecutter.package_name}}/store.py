"""The project's own state, in a Redis: claims, locks, limits, circuits, cached values.

`APP_STORE_URL` names it; without that it is the broker's Redis, else that of the results. Whatever
is kept there must stay there: `maxmemory-policy noeviction`.
"""

from __future__ import annotations

import os
from typing import Any

from celery import current_app
from redis import Redis

from .config.urls import unsafe
from .resources import PerProcess

PACKAGE = __package__
SCHEMES = ("redis://", "rediss://")


class NoStoreError(Exception):
    """There is no Redis for the project's state, or none that production may use."""


def url() -> str:
    """Return where the state is, or nothing: development and tests have no Redis by default."""
    conf = current_app.conf
    places = (os.environ.get("APP_STORE_URL"), conf.broker_url, conf.result_backend)
    return next((place for place in places if place and place.startswith(SCHEMES)), "")


def connect() -> Redis:
    """Return a client.

    Raises:
        NoStoreError: There is no Redis, or its URL is not safe enough for production.
    """
    place = url()
    if not place:
        raise NoStoreError(
            "idempotency, locks and limits of a fleet need a Redis, and none is configured:"
            " set APP_STORE_URL=redis://..."
        )
    if os.environ.get("APP_ENV") in {"staging", "production"} and (reason := unsafe(place)):
        raise NoStoreError(f"APP_STORE_URL is refused: {reason}")
    return Redis.from_url(
        place.replace("ssl_cert_reqs=CERT_REQUIRED", "ssl_cert_reqs=required"),
        # Without timeouts a lost network blocks a task for as long as the kernel retries.
        socket_timeout=15,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=25,
        max_connections=1000,  # redis-py's 100 are fewer than greenlets may need at once
    )


#: The client of this process. Its answers are bytes.
client: PerProcess[Any] = PerProcess(connect, Redis.close)


def key(*parts: object) -> str:
    """Return the name of a key: projects may share a Redis."""
    return ":".join((PACKAGE, *map(str, parts)))
