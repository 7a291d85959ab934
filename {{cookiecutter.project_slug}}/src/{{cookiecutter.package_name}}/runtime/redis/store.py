"""The project's own state, in a Redis: claims, locks, limits, circuits, cached values.

`APP_STORE_URL` names it; without that it is the broker's Redis, else that of the results. Whatever
is kept there must stay there: `maxmemory-policy noeviction`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import current_app
from redis import Redis

from ..config.environment import ConfigurationError
from ..resources import PerProcess
from . import clients as redis_clients
from . import settings as settings
from .redis_options import SCHEMES, SentinelOptions, nameless


class NoStoreError(Exception):
    """There is no Redis for the project's state."""


def url() -> str:
    """Return where the state is, or nothing: development and tests have no Redis by default."""
    conf = current_app.conf
    places = (settings.load().store_url, conf.broker_url, conf.result_backend)
    return next((place for place in places if place and place.startswith(SCHEMES)), "")


def sentinel(conf: Any) -> dict[str, Any]:
    """Return how to find the Redis if a Sentinel names it."""
    own = settings.load()
    given: Mapping[str, Any] = {
        "master_name": own.store_master_name,
        "sentinel_kwargs": (own.store_sentinel_kwargs or SentinelOptions()).model_dump(
            exclude_none=True
        ),
    }
    return redis_clients.sentinel_options(
        given, conf.broker_transport_options or {}, conf.result_backend_transport_options or {}
    )


def check(conf: Any) -> None:
    """Refuse wrong settings when a process starts.

    Args:
        conf: The configuration of the app.

    Raises:
        ConfigurationError: A setting of the store is wrong or missing.
    """
    name = sentinel(conf).get("master_name")
    if sentence := nameless(settings.load().store_url, name, "APP_STORE_MASTER_NAME"):
        raise ConfigurationError(sentence)


def connect() -> Redis:
    """Return a client.

    Raises:
        NoStoreError: There is no Redis.
    """
    place = url()
    if not place:
        raise NoStoreError(
            "idempotency, locks and limits of a fleet need a Redis, and none is configured:"
            " set APP_STORE_URL=redis://..."
        )
    return redis_clients.connect(
        place,
        # Without timeouts a lost network blocks a task for as long as the kernel retries.
        socket_timeout=15,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=25,
        max_connections=1000,  # redis-py's 100 are fewer than greenlets may need at once
        **sentinel(current_app.conf),
    )


#: The client of this process. Its answers are bytes.
client: PerProcess[Any] = PerProcess(connect, Redis.close)


def key(*parts: object) -> str:
    """Return the name of a key: projects may share a Redis."""
    return ":".join((str(current_app.main), *map(str, parts)))
