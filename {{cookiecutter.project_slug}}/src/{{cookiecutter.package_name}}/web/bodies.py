"""What requests and answers hold."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from .catalog import ALLOWED

#: An id of a task.
TaskId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]

#: How many tasks one request may send.
MOST_TASKS = 100

#: A day: a countdown waits in the memory of a worker.
LONGEST_COUNTDOWN = 24 * 3600


class Request(BaseModel):
    """A body that has no other fields."""

    model_config = ConfigDict(extra="forbid")


class Submission(Request):
    """A task to send: one of `GET /tasks`, with its arguments."""

    task: str = Field(json_schema_extra={"enum": list(ALLOWED)})
    arguments: dict[str, Any] = Field(default={}, examples=[{}])
    #: Inside its queue; without it, that of the task's route. A client cannot overtake others.
    priority: Literal["low", "normal"] | None = None
    #: Seconds to wait before it starts.
    countdown: float | None = Field(default=None, ge=0, le=LONGEST_COUNTDOWN, allow_inf_nan=False)


class Submissions(Request):
    """Tasks to send. None is sent unless all are valid."""

    tasks: list[Submission] = Field(min_length=1, max_length=MOST_TASKS)


class AllowedTask(BaseModel):
    """A task that clients may send."""

    task: str
    description: str
    #: JSON schema of the arguments.
    arguments: dict[str, Any]


class AllowedTasks(BaseModel):
    """The tasks that clients may send."""

    tasks: list[AllowedTask]


class Accepted(BaseModel):
    """A task that was sent."""

    id: str


class AcceptedTasks(BaseModel):
    """Tasks that were sent, in the order of the request."""

    tasks: list[Accepted]


class Health(BaseModel):
    """That something works; what does not is a problem."""

    status: Literal["ok"]


class Queue(BaseModel):
    """A queue and what waits in it."""

    name: str
    messages: int
    #: Age of the first message in seconds, where the broker lets one look.
    oldest_seconds: float | None


class Queues(BaseModel):
    """All queues."""

    queues: list[Queue]


class Worker(BaseModel):
    """A worker that answers."""

    name: str
    pool: str
    concurrency: int
    queues: list[str]
    #: Tasks that it has taken since its start.
    tasks: int
    uptime_seconds: int


class Workers(BaseModel):
    """The workers that answer."""

    workers: list[Worker]


class HeldTask(BaseModel):
    """A task that a worker runs, or holds until its time has come."""

    id: str
    task: str
    worker: str
    args: list[Any]
    kwargs: dict[str, Any]
    started_at: datetime | None = None
    due_at: str | None = None


class HeldTasks(BaseModel):
    """Tasks that workers run or hold."""

    tasks: list[HeldTask]


class Registered(BaseModel):
    """The tasks that each worker knows."""

    workers: dict[str, list[str]]


class Letter(BaseModel):
    """A dead letter, as a list shows it."""

    id: str
    task: str
    queue: str
    reason: str
    error: str
    text: str
    attempts: int
    failed_at: str
    count: int
    last_failed_at: str | None
    replayed_as: str | None


class LetterPage(BaseModel):
    """Dead letters, the newest first."""

    letters: list[Letter]
    #: The offset of the next page, if there is one.
    next_offset: int | None


class WholeLetter(BaseModel):
    """All of a dead letter."""

    model_config = ConfigDict(extra="allow")

    id: str
    task: str


def plain(value: object) -> Any:
    """Return a value as JSON can say it: what it cannot, such as a date or NaN, as text."""
    return json.loads(json.dumps(value, default=str), parse_constant=str)


def to_json(body: BaseModel) -> str:
    """Return a body as JSON in ASCII, which also writes what is no valid Unicode."""
    return json.dumps(body.model_dump(mode="json"))
