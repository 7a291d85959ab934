"""Settings for Redis as the result backend, and for the Redis with the project's own state."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from ..config import machine
from ..config.environment import Variables, read, read_env_file
from ..config.results import KeptResults
from ..config.urls import broken, refused_by_redis, servers, unsafe
from ..config.values import Count, Seconds
from .redis_options import NAMES, SOCKET, ResultOptions, SentinelOptions, nameless


class RedisResults(KeptResults):
    """Results in Redis."""

    result_backend: str = Field(repr=False, description="give the URL of the result backend")
    result_schemes: ClassVar[tuple[str, ...]] = (*NAMES, *KeptResults.result_schemes)
    backends: ClassVar[dict[str, str]] = {
        "redis": f"{__package__}.results:Results",
        "rediss": f"{__package__}.results:Results",
        "sentinel": f"{__package__}.results:SentinelResults",
    }

    redis_socket_timeout: Seconds = 1
    redis_socket_connect_timeout: Seconds = 1
    redis_socket_keepalive: bool = True
    # Ping a connection that was idle for so many seconds before it is used: a firewall may have
    # dropped it without a word.
    redis_backend_health_check_interval: Count = 25
    result_backend_transport_options: ResultOptions = ResultOptions()

    @classmethod
    def on_this_machine(cls) -> dict[str, Any]:
        """Keep results in the server of this machine if there is no Redis."""
        return {**super().on_this_machine(), "result_backend": machine.url(machine.RESULTS)}

    def refusals(self) -> Iterator[str]:
        """Refuse a Sentinel URL without the name of a master."""
        name = self.result_backend_transport_options.master_name
        variable = "CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS__MASTER_NAME"
        if sentence := nameless(self.result_backend, name, variable):
            yield sentence
        yield from super().refusals()

    def for_celery(self) -> dict[str, Any]:
        """Leave out options that a socket does not have."""
        settings = super().for_celery()
        # Celery omits this option only if it is off (celery/backends/redis.py).
        settings["redis_socket_keepalive"] &= not self.result_backend.startswith(SOCKET)
        return settings


class Store(Variables):
    """The Redis of `store.py`; by default the broker's, else that of the results."""

    model_config = SettingsConfigDict(env_prefix="APP_", env_nested_delimiter="__")

    env: str = "development"
    store_url: str = Field(default="", repr=False)
    # The master that Sentinel watches and how to reach the Sentinels, if these differ from the
    # broker's and the result backend's.
    store_master_name: str | None = None
    store_sentinel_kwargs: SentinelOptions | None = Field(default=None, repr=False)

    # Tenants whose tasks come after everyone else's; this works only if the broker is Redis.
    noisy_tenants: tuple[str, ...] = ()

    @model_validator(mode="after")
    def check_url(self) -> Self:
        """Refuse a URL that is not of a Redis, and in production one that is unsafe."""
        for url in servers(self.store_url) if self.store_url else ():
            reason = broken(url, NAMES) or refused_by_redis(url)
            if self.env in {"staging", "production"}:
                reason = reason or unsafe(url)
            if reason:
                raise ValueError(f"APP_STORE_URL is refused: {reason}")
        return self


@cache
def load() -> Store:
    """Return the settings of the project's own state, read once.

    Raises:
        ConfigurationError: A value is wrong.
    """
    read_env_file()
    return read(Store)
