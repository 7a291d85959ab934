"""Settings of a project itself, beside those of Celery and of the servers."""

from __future__ import annotations

from functools import cache, partial
from typing import Any, ClassVar, Protocol, Self, TypeVar

from celery.signals import worker_init
from pydantic import model_validator
from pydantic_settings import SettingsConfigDict

from .environment import Variables, read

S_co = TypeVar("S_co", bound=Variables, covariant=True)


class ProjectSettings(Variables):
    """Variables that begin with `APP_`. Not every default is right on a server."""

    model_config = SettingsConfigDict(env_prefix="APP_")

    #: Fields without which neither staging nor production starts.
    needed_on_servers: ClassVar[tuple[str, ...]] = ()

    env: str = "development"

    @model_validator(mode="after")
    def check_server(self) -> Self:
        """Refuse defaults that are only right on a developer's machine."""
        missing = sorted({*self.needed_on_servers} - self.model_fields_set)
        if missing and self.env in {"staging", "production"}:
            names = ", ".join(f"APP_{name.upper()}" for name in missing)
            raise ValueError(f"these variables must be set with APP_ENV={self.env}: {names}")
        return self


class Reader(Protocol[S_co]):
    """Gives the settings of this process, and may be told to forget them."""

    def __call__(self) -> S_co:
        """Return the settings.

        Raises:
            ConfigurationError: A value is wrong or missing.
        """

    def cache_clear(self) -> None:
        """Read them anew the next time."""


def reader(settings_class: type[S_co]) -> Reader[S_co]:
    """Return a function that gives settings, read once.

    A worker that has wrong ones does not start; otherwise its first task would say so.
    """

    def check_at_start(**_: Any) -> None:
        read(settings_class)

    worker_init.connect(check_at_start, weak=False)
    return cache(partial(read, settings_class))
