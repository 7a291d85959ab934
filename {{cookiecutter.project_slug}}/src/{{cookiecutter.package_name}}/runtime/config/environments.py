"""The building blocks of a project's environments, and how a process chooses its environment."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from . import urls, variables
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


class OnFiles(Mixin):
    """A machine without servers: queues and results are files until a URL says otherwise.

    Only for trying things out: the file broker has no priorities and loses a dead worker's tasks.
    """

    @classmethod
    def sources(cls, given: PydanticBaseSettingsSource) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use arguments, then the environment, and files for servers that are not named."""
        return (*super().sources(given), defaults(cls, OnFiles, cls.on_files()))

    def for_celery(self) -> dict[str, Any]:
        """Add the folders of the file broker."""
        settings = super().for_celery()
        for name in ("queues", "control", "results"):
            make_folder(LOCAL_FOLDER / name)
        if self.broker_url.startswith("filesystem://"):
            use_files()
            print(
                f"CELERY_BROKER_URL is not set: queues are files under {LOCAL_FOLDER}/",
                file=sys.stderr,
            )
            settings["worker_disable_prefetch"] = False  # only Redis supports it
            settings["broker_transport_options"] = {
                "data_folder_in": str(LOCAL_FOLDER.absolute() / "queues"),
                "data_folder_out": str(LOCAL_FOLDER.absolute() / "queues"),
                "control_folder": str(LOCAL_FOLDER.absolute() / "control"),
            }
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

    def refusals(self) -> Iterator[str]:
        """Yield a sentence for every URL that would leak or lose work."""
        for name in type(self).model_fields:
            value = getattr(self, name) if name.endswith(("_url", "_backend")) else None
            for url in urls.servers(value or ""):
                if reason := urls.unsafe(url):
                    yield f"CELERY_{name.upper()} is refused: {reason}"
        yield from super().refusals()


def use_files() -> None:
    """Use files as queues.

    Raises:
        ConfigurationError: Files cannot be locked here; on Windows, kombu needs pywin32 for this.
    """
    try:
        from . import local_broker
    except ImportError as error:
        raise ConfigurationError(
            "CELERY_BROKER_URL is not set, and queues in files need the module"
            f" {error.name}, which is missing: set CELERY_BROKER_URL, or on Windows install pywin32"
        ) from None
    local_broker.use()


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
