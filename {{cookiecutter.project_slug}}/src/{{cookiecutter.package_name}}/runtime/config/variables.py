"""The check for variables that begin with `CELERY_` and that nothing reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, get_origin

from celery.app import defaults
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from .environment import nearest

if TYPE_CHECKING:
    import click
    from pydantic.fields import FieldInfo

PREFIX = "CELERY_"

#: Variables that other programs set or read; they are not refused.
OTHERS = re.compile(
    r"""
    # Celery itself, before any configuration
    CELERY_(LOADER|SKIP_CHECKS|CONFIG_MODULE|CUSTOM_WORKER_POOL|TRACE_APP|BENCH(_EVERY)?|RDB_\w+)
    # set by environment.py for Celery's command line; a child process inherits them
    | CELERY_(WORKER|BEAT)_LOGLEVEL
    # set by a worker for the processes that it starts (celery/app/log.py, `setup`)
    | CELERY_LOG_(LEVEL|FILE|REDIRECT|REDIRECT_LEVEL)
    # the service files in Celery's documentation:
    # https://docs.celeryq.dev/en/stable/userguide/daemonizing.html
    | CELERY_(APP|BIN|NODES|CREATE_DIRS|CREATE_LOGDIR|CREATE_RUNDIR|RUN_AS_ROOT|USER|GROUP)
    | CELERYD_(NODES|MULTI|OPTS|CHDIR|LOG_FILE|LOG_LEVEL|PID_FILE|USER|GROUP|SU|SU_ARGS|PROJECT)
    | CELERYBEAT(_(CHDIR|OPTS|LOG_FILE|LOG_LEVEL|PID_FILE|USER|GROUP|SU|SU_ARGS|PROJECT))?
    # Flower, whose options work like those of a Celery command
    | CELERY_FLOWER_\w+
    # service links: https://kubernetes.io/docs/concepts/services-networking/service/
    | CELERY_(\w+_)?SERVICE_(HOST|PORT(_\w+)?)
    | CELERY_(\w+_)?PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?
    | CELERY_(\w+_)?ENV_\w+
    """,
    re.VERBOSE,
)

#: The new names of settings by their old names.
OLD_NAMES: dict[str, str] = defaults._TO_NEW_KEY  # type: ignore[attr-defined]

#: Values by which service links are recognised, whatever their names are.
LINK = re.compile(r"(tcp|udp|sctp)://.*|/[\w.-]+/[\w.-]+")
LINKED = re.compile(r"CELERY_(\w+_)?(PORT|NAME)")


def unknown(settings_class: type[BaseSettings]) -> Iterator[str]:
    """Yield a sentence for every `CELERY_` variable that nothing would read."""
    fields = settings_class.model_fields
    readable = {f"{PREFIX}{name.upper()}": field for name, field in fields.items()}
    for variable in sorted(os.environ):
        name, _, option = variable.upper().partition("__")
        field = readable.get(name) or readable.get(name.removesuffix("_FILE"))
        if not name.startswith((PREFIX, "CELERYD_", "CELERYBEAT_")) or is_foreign(variable):
            continue
        if option and field and not has_options(field):
            yield (
                f"{variable} is not a known setting, because {name} has no options:"
                f" set {name} to a single value"
            )
        elif not field and name not in command_line_variables():
            yield f"{variable} {reason(name, set(readable))}"


def is_foreign(variable: str) -> bool:
    """Whether a variable belongs to another program."""
    name, value = variable.upper(), os.environ[variable]
    return bool(OTHERS.fullmatch(name) or (LINKED.fullmatch(name) and LINK.fullmatch(value)))


def has_options(field: FieldInfo) -> bool:
    """Whether a field has options that can be set after two underscores."""
    annotation = field.annotation
    return get_origin(annotation) is dict or (
        isinstance(annotation, type) and issubclass(annotation, BaseModel)
    )


def reason(name: str, readable: set[str]) -> str:
    """Return why nothing reads a variable, and what to do about it."""
    setting = name.removeprefix(PREFIX).lower()
    if setting in defaults.SETTING_KEYS:
        return (
            "is a Celery setting that this project does not declare: add the field"
            f" {setting} to the configuration class in config.py, or unset the variable"
        )
    if newer := OLD_NAMES.get(name):
        return f"is a name from old versions of Celery: use {PREFIX}{newer.upper()} instead"
    known = readable | command_line_variables()
    known |= {f"{PREFIX}{key.upper()}" for key in defaults.SETTING_KEYS}
    for close in nearest(setting, (one.removeprefix(PREFIX).lower() for one in known)):
        return f"is not a known setting. Did you mean {PREFIX}{close.upper()}? Otherwise unset it"
    return f"is not a known setting: unset it, or use another prefix than {PREFIX}"


@cache
def command_line_variables() -> frozenset[str]:
    """Return the variables that set options of Celery's command line."""
    from celery.bin.celery import celery as root

    def walk(command: click.Command, prefix: str) -> Iterator[str]:
        yield from (f"{prefix}_{parameter.name}".upper() for parameter in command.params)
        for name, subcommand in getattr(command, "commands", {}).items():
            yield from walk(subcommand, f"{prefix}_{name}".replace("-", "_"))

    return frozenset(walk(root, PREFIX.rstrip("_")))
