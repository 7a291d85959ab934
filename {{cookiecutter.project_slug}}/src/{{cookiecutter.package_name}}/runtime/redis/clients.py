"""Redis clients for the URLs that Celery accepts: of a server, a socket or Sentinels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis import Redis
from redis.sentinel import Sentinel

from .redis_options import SENTINEL, SOCKET

SENTINEL_PORT = 26379


def sentinel_options(*places: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options from the first place that names a master."""
    for place in places:
        if place.get("master_name"):
            return {name: place.get(name) for name in ("master_name", "sentinel_kwargs")}
    return {}


def connect(
    url: str,
    *,
    master_name: str | None = None,
    sentinel_kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> Redis:
    """Return a client, which connects when it is first used.

    Args:
        url: The URL of the Redis, in the form of `CELERY_BROKER_URL`.
        master_name: The master that Sentinel watches.
        sentinel_kwargs: How to reach the Sentinels.
        options: Options of the connections to the Redis.
    """
    if url.startswith(SENTINEL):
        # The first URL gives the database and the login, as it does for Celery and kombu.
        first, *_ = places = [urlsplit(part) for part in url.split(";")]
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
            [(place.hostname, place.port or SENTINEL_PORT) for place in places],
            sentinel_kwargs=dict(sentinel_kwargs) if sentinel_kwargs else None,
            db=int(first.path.strip("/") or 0),
            username=unquote(first.username) if first.username else None,
            password=unquote(first.password) if first.password else None,
            **options,
        )
        client: Redis = sentinel.master_for(str(master_name))
        return client
    if url.startswith(SOCKET):
        parts = urlsplit(url)
        database = parse_qs(parts.query).get("virtual_host", ["0"])[0].strip("/")
        url = f"unix://{parts.netloc}{parts.path}?db={database}"
        for name in ("socket_connect_timeout", "socket_keepalive"):  # a socket has neither
            options.pop(name, None)
    return Redis.from_url(
        url.replace("ssl_cert_reqs=CERT_REQUIRED", "ssl_cert_reqs=required"), **options
    )
