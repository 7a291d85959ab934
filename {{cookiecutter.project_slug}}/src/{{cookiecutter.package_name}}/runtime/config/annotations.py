"""Attributes of tasks by the names of the tasks: a limit of one worker, a time limit, and others.

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
    """Refuse a compression that kombu does not know."""
    try:
        compression.get_encoder(name)
    except KeyError:
        raise ValueError("unknown compression: use one such as zlib or bzip2") from None
    return name


class Annotation(BaseModel):
    """What is set for a task: each attribute of Celery's tasks that a variable can express.

    An attribute that is null stays as the task itself has it. Missing are those that take a class
    or a function, and the settings of automatic retries, which Celery reads when it decorates a
    function, so that an annotation would change nothing (celery/app/autoretry.py).

    https://docs.celeryq.dev/en/stable/reference/celery.app.task.html#celery.app.task.Task
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    #: How often one worker starts it, such as `10/s`, `100/m`, `1000/h`.
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

    #: `Settings` compares it with the queues of the project.
    queue: str | None = None
    priority: NonNegativeInt | None = Field(default=None, le=9)
    #: Seconds after which a worker drops a message unrun.
    expires: PositiveFloat | None = None
    serializer: Serializer | None = None
    compression: Annotated[str, AfterValidator(known_compression)] | None = None
    #: 2 is written to the disk of the broker, 1 is not.
    delivery_mode: NonNegativeInt | None = Field(default=None, ge=1, le=2)
    #: Whether the caller's arguments are compared with the signature of the function.
    typing: bool | None = None


class Annotations:
    """The table in the form that Celery takes.

    Celery applies `*` after a task's own row, so that `*` wins (celery/app/annotations.py,
    `resolve_all`). Here the row of the task does.
    """

    def __init__(self, table: Mapping[str, Annotation]) -> None:
        self.table = {name: row.model_dump(exclude_unset=True) for name, row in table.items()}

    def annotate(self, task: Any) -> dict[str, Any]:
        """Return what is set for a task."""
        attributes = {**self.table.get(EVERY_TASK, {}), **self.table.get(task.name, {})}
        return {name: value for name, value in attributes.items() if value is not None}

    def annotate_any(self) -> None:
        """Return nothing: `annotate` has answered for every task."""
