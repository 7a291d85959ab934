"""The building blocks of a project's environments, and how a process chooses its environment."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from . import machine, urls, variables
from .environment import (
    ENV_FILE,
    LOCAL_FOLDER,
    ConfigurationError,
    make_folder,
    read,
    read_env_file,
    set_log_levels,
)
from .settings import Settings

if TYPE_CHECKING:
    Mixin = Settings
else:
    # These classes are not models. Pydantic takes a field from the first base class that has it,
    # even if only a later one changes it, so the values that `Base` sets would be lost.
    Mixin = object

S = TypeVar("S", bound=Settings)


def defaults(
    cls: type[BaseSettings], environment: type, values: dict[str, Any]
) -> PydanticBaseSettingsSource:
    """Return the defaults of an environment, which replace the general ones.

    Args:
        cls: The project's class for the environment.
        environment: The class in this module that it derives from.
        values: The defaults. A field that the project's class sets itself wins over them.
    """
    below = cls.__mro__[: cls.__mro__.index(environment)]
    own = {name for one in below for name in inspect.get_annotations(one)}
    return InitSettingsSource(cls, {name: values[name] for name in values.keys() - own})


class OnThisMachine(Mixin):
    """A developer's machine: queues and results are on the server of `make dev` (`machine.py`).

    A URL that is set wins.
    """

    @classmethod
    def sources(cls, given: PydanticBaseSettingsSource) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use arguments, then the environment, and this machine for servers that are not named."""
        values = cls.on_this_machine()
        if not machine.has_sockets():  # then the error about a missing URL says what to do
            values = {name: value for name, value in values.items() if not machine.is_own(value)}
        return (*super().sources(given), defaults(cls, OnThisMachine, values))

    def for_celery(self) -> dict[str, Any]:
        """Adapt a project for another kind of broker to the server of this machine."""
        settings = super().for_celery()
        make_folder(LOCAL_FOLDER)
        if machine.is_own(self.broker_url) and urls.SOCKET not in self.broker_schemes:
            # Low numbers come first in kombu's transport for Redis, high ones in other brokers, so
            # all messages get the same.
            settings["broker_transport_options"] = {"priority_steps": [0]}
        return settings


class InMemory(Mixin):
    """Tests: queues and results are in the process; only arguments override the fields."""

    @classmethod
    def sources(cls, given: PydanticBaseSettingsSource) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use arguments only: a shell variable must not point a test at a real broker."""
        return (given, defaults(cls, InMemory, cls.in_memory()))

    def for_celery(self) -> dict[str, Any]:
        """Poll for messages a hundred times per second instead of once."""
        settings = super().for_celery()
        if self.broker_url == "memory://":
            settings["broker_transport_options"] = {"polling_interval": 0.01}
        return settings


class OnServers(Mixin):
    """A server that people rely on: every URL must be set and safe."""

    log_format: ClassVar[Literal["console", "json"]] = "json"

    def refusals(self) -> Iterator[str]:
        """Yield a sentence for every URL that would leak or lose work."""
        for name in type(self).model_fields:
            value = getattr(self, name) if name.endswith(("_url", "_backend")) else None
            for url in urls.servers(value or ""):
                if reason := urls.unsafe(url):
                    yield f"CELERY_{name.upper()} is refused: {reason}"
        yield from super().refusals()


def load_from(environments: Mapping[str, type[S]], env_file: Path = ENV_FILE) -> S:
    """Return the settings of this process: those of the environment that `APP_ENV` names.

    Variables of the process win over those of the env file, which is not read in testing.

    Args:
        environments: The class of each environment by its name; one must be `development`.
        env_file: A file with variables, for development on one machine.

    Raises:
        ConfigurationError: A value is wrong, or a variable is unknown.
    """
    read_env_file(env_file)
    environment = os.environ.get("APP_ENV") or "development"
    if environment not in environments:
        raise ConfigurationError(
            f"APP_ENV is not the name of an environment: use one of {', '.join(environments)}"
        )
    settings_class = environments[environment]
    if sentences := list(variables.unknown(settings_class)):
        raise ConfigurationError("; ".join(sentences))
    # This comes last: only Celery's command line knows whether these variables exist, and it takes
    # longer to import than everything else that a publisher needs.
    set_log_levels()
    return read(settings_class)
