"""Types for values that Celery accepts unchecked and fails on later."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from celery.utils.imports import load_extension_class_names
from kombu.utils.scheduling import CYCLE_ALIASES  # type: ignore[attr-defined]
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

#: A time in seconds that every library accepts: at most ten years, never infinite.
Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 24 * 3600, allow_inf_nan=False)]

#: A count of at least one that fits into 32 bits.
Count = Annotated[int, Field(gt=0, lt=2**31)]

#: Loading a pickle can run code, so tasks may exchange JSON only.
Serializer = Literal["json"]

#: Priorities that both brokers accept.
PriorityNumber = Annotated[int, Field(ge=0, le=9)]


class RetryPolicy(BaseModel):
    """How often a publisher tries again, and how many seconds it waits in between.

    When the broker is down, it gives up after about a second, with an error for the caller.
    https://docs.celeryq.dev/en/stable/userguide/calling.html#retry-policy
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    max_retries: Annotated[int, Field(ge=0, le=1000)] = 2
    interval_start: Seconds = 0.1
    interval_step: Seconds = 0.2
    interval_max: Seconds = 0.5


def listed(words: Sequence[str]) -> str:
    """Join words as in a sentence: one, another or a third."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def is_zone(name: str) -> str:
    """Check that a name is the name of a time zone."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(
            "it is not a time zone: use a name such as UTC or Europe/Oslo"
            " (https://en.wikipedia.org/wiki/List_of_tz_database_time_zones)"
        ) from None
    return name


def is_importable(path: str) -> str:
    """Check that a path names a class in an existing module, or a registered scheduler."""
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    try:
        if name.isidentifier() and find_spec(module):
            return path
    except (ImportError, ValueError, AttributeError):
        pass
    # Last, since it reads the metadata of all libraries.
    schedulers: Any = load_extension_class_names("celery.beat_schedulers")
    if path in dict(schedulers):
        return path
    raise ValueError(
        "there is no such class: give its module and name, such as package.module:Class"
    )


def is_reading_order(name: str) -> str:
    """Check that kombu knows an order of queues."""
    if name not in CYCLE_ALIASES:
        raise ValueError(f"use one of {', '.join(sorted(CYCLE_ALIASES))}")
    return name


TimeZone = Annotated[str, AfterValidator(is_zone)]
Importable = Annotated[str, AfterValidator(is_importable)]
ReadingOrder = Annotated[str, AfterValidator(is_reading_order)]
