"""Settings of a project itself, of which Celery knows nothing: variables that begin with `APP_`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from celery.signals import worker_init
from pydantic_settings import SettingsConfigDict

from .environment import Variables, read

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

S = TypeVar("S", bound="ProjectSettings")


class ProjectSettings(Variables):
    """What a project's own class of settings derives from; each field is a variable."""

    model_config = SettingsConfigDict(env_prefix="APP_")

    env: str = "development"

    @property
    def is_server(self) -> bool:
        """Whether this is no developer's machine and no test."""
        return self.env in {"staging", "production"}


def once(settings_class: type[S]) -> _lru_cache_wrapper[S]:
    """Return a function that returns the settings, which are read once.

    A worker reads them before it starts, and ends with one line if they are wrong; otherwise its
    first task would find out.
    """

    def check(**_: Any) -> None:
        read(settings_class)

    worker_init.connect(check, weak=False)
    return cache(lambda: read(settings_class))
