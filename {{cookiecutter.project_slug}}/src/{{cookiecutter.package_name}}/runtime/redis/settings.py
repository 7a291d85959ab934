"""Where the project's own state is: variables that begin with `APP_STORE_`."""

from functools import cache
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from ..config.environment import Variables, read, read_env_file
from ..config.urls import broken, servers, unsafe
from .redis_options import SCHEMES, SentinelOptions


class Store(Variables):
    """The Redis of `store.py`; without a URL it is the broker's, else that of the results."""

    model_config = SettingsConfigDict(env_prefix="APP_", env_nested_delimiter="__")

    env: str = "development"
    store_url: str = Field(default="", repr=False)
    # The master that Sentinel watches, and how to reach the Sentinels, if they are not those of the
    # broker or of the results.
    store_master_name: str | None = None
    store_sentinel_kwargs: SentinelOptions | None = Field(default=None, repr=False)

    # Tenants whose tasks come after those of all others, see `tenants.py`.
    noisy_tenants: tuple[str, ...] = ()

    @model_validator(mode="after")
    def check_url(self) -> Self:
        """Refuse what is not a Redis, and in production what is unsafe."""
        schemes = [scheme.removesuffix("://") for scheme in SCHEMES]
        for url in servers(self.store_url) if self.store_url else ():
            reason = broken(url, schemes)
            if self.env in {"staging", "production"}:
                reason = reason or unsafe(url)
            if reason:
                raise ValueError(f"APP_STORE_URL is refused: {reason}")
        return self


@cache
def load() -> Store:
    """Return the settings, read once.

    Raises:
        ConfigurationError: A value is wrong.
    """
    read_env_file()
    return read(Store)
