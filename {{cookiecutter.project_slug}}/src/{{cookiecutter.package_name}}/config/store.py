"""Where the project's own state is: variables that begin with `APP_STORE_`."""

from functools import cache
from typing import Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .environment import ConfigurationError, explain, read_env_file, secrets_from_files
from .redis_options import SCHEMES, SentinelOptions
from .urls import unsafe


class Store(BaseSettings):
    """The Redis of `store.py`; without a URL it is the broker's, else that of the results."""

    model_config = SettingsConfigDict(
        env_prefix="APP_", env_nested_delimiter="__", env_ignore_empty=True, frozen=True
    )

    env: str = "development"
    store_url: str = Field(default="", repr=False)
    # The master that Sentinel watches, and how to reach the Sentinels, if they are not those of the
    # broker or of the results.
    store_master_name: str | None = None
    store_sentinel_kwargs: SentinelOptions | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def check_url(self) -> Self:
        """Refuse what is no Redis, and in production what is unsafe."""
        if self.store_url and not self.store_url.startswith(SCHEMES):
            raise ValueError(f"APP_STORE_URL is refused: use one of {', '.join(SCHEMES)}")
        if self.env in {"staging", "production"} and (reason := unsafe(self.store_url)):
            raise ValueError(f"APP_STORE_URL is refused: {reason}")
        return self


@cache
def load() -> Store:
    """Return the settings, read once.

    Raises:
        ConfigurationError: A value is wrong.
    """
    read_env_file()
    try:
        return Store(**secrets_from_files(Store))
    except ValidationError as error:
        raise ConfigurationError("; ".join(explain(error, Store))) from None
