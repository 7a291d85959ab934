"""The Redis with the project's own state: claims, locks, rate limits, circuits, cached values.

Its URL is `APP_STORE_URL`, by default the broker's, else that of the results. It must not evict
keys: set `maxmemory-policy noeviction`.
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
    """Return the URL of the Redis, or "" (the default in tests)."""
    conf = current_app.conf
    places = (settings.load().store_url, conf.broker_url, conf.result_backend)
    return next((place for place in places if place and place.startswith(SCHEMES)), "")


def sentinel(conf: Any) -> dict[str, Any]:
    """Return the options for finding the Redis through Sentinels."""
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
        NoStoreError: No Redis is configured.
    """
    place = url()
    if not place:
        raise NoStoreError(
            "idempotency, locks and shared rate limits need a Redis, but none is configured:"
            " set APP_STORE_URL=redis://..."
        )
    return redis_clients.connect(
        place,
        # Without timeouts, a lost network would block a task for as long as the kernel retries.
        socket_timeout=15,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=25,
        max_connections=1000,  # redis-py's default of 100 may be too few for greenlets
        **sentinel(current_app.conf),
    )


#: The client of this process. It answers with bytes.
client: PerProcess[Any] = PerProcess(connect, Redis.close)


def key(*parts: object) -> str:
    """Return the name of a key with the project's prefix, since projects may share a Redis."""
    return ":".join((str(current_app.main), *map(str, parts)))
