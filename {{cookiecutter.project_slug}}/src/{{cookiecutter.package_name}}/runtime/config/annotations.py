"""Attributes of tasks by task name, such as rate limits and time limits.

https://docs.celeryq.dev/en/stable/userguide/configuration.html#task-annotations
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from kombu import compression
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
)

from .values import Serializer

EVERY_TASK = "*"


def known_compression(name: str) -> str:
    """Check that kombu knows a compression."""
    try:
        compression.get_encoder(name)
    except KeyError:
        raise ValueError("it is not a known compression: use one such as zlib or bzip2") from None
    return name


class Annotation(BaseModel):
    """The attributes of a Celery task that a variable can set.

    An attribute that is null keeps the task's own value. Attributes that take a class or a function
    are left out, and so are the settings of automatic retries: Celery reads those when it decorates
    a function, so an annotation would change nothing (celery/app/autoretry.py).

    https://docs.celeryq.dev/en/stable/reference/celery.app.task.html#celery.app.task.Task
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    #: How often one worker may start the task, such as `10/s`, `100/m`, `1000/h`.
    rate_limit: str | None = Field(
        default=None, pattern=r"^[0-9]+(\.[0-9]+)?/[smh]$", examples=["10/s"]
    )
    #: Seconds; `worker/checks.py` compares them with the time budget when a worker starts.
    time_limit: PositiveFloat | None = None
    soft_time_limit: PositiveFloat | None = None

    max_retries: NonNegativeInt | None = None
    #: Seconds.
    default_retry_delay: NonNegativeFloat | None = None
    retry_on_worker_lost: bool | None = None
    reject_on_worker_lost: bool | None = None
    acks_late: bool | None = None
    acks_on_failure: bool | None = None
    acks_on_timeout: bool | None = None
    acks_on_failure_or_timeout: bool | None = None

    ignore_result: bool | None = None
    store_eager_result: bool | None = None
    store_errors_even_if_ignored: bool | None = None
    track_started: bool | None = None
    trail: bool | None = None
    send_events: bool | None = None
    resultrepr_maxsize: NonNegativeInt | None = None

    #: `Settings` checks that the project has this queue.
    queue: str | None = None
    priority: NonNegativeInt | None = Field(default=None, le=9)
    #: Seconds after which a worker drops the message without running it.
    expires: PositiveFloat | None = None
    serializer: Serializer | None = None
    compression: Annotated[str, AfterValidator(known_compression)] | None = None
    #: 2: the broker writes the message to disk; 1: it does not.
    delivery_mode: NonNegativeInt | None = Field(default=None, ge=1, le=2)
    #: Whether the caller's arguments are checked against the signature of the function.
    typing: bool | None = None


class Annotations:
    """The table of annotations in the form that Celery takes.

    Celery applies `*` after a task's own row, so `*` wins (celery/app/annotations.py,
    `resolve_all`). Here the task's own row wins.
    """

    def __init__(self, table: Mapping[str, Annotation]) -> None:
        self.table = {name: row.model_dump(exclude_unset=True) for name, row in table.items()}

    def annotate(self, task: Any) -> dict[str, Any]:
        """Return the attributes that are set for a task."""
        attributes = {**self.table.get(EVERY_TASK, {}), **self.table.get(task.name, {})}
        return {name: value for name, value in attributes.items() if value is not None}

    def annotate_any(self) -> None:
        """Return nothing: `annotate` covers every task."""
