"""The bodies of requests and answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, create_model

#: An id of a task.
TaskId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]

#: How many tasks one request may send.
MOST_TASKS = 100

#: A day: a countdown waits in the memory of a worker.
LONGEST_COUNTDOWN = 24 * 3600


class Request(BaseModel):
    """A request body that allows no other fields."""

    model_config = ConfigDict(extra="forbid")


class Submission(Request):
    """A task to send, one of those that `GET /tasks` lists, with its arguments."""

    task: str
    arguments: dict[str, Any] = Field(default={}, examples=[{}])
    #: The priority inside its queue; by default, that of the task's route. A client cannot ask for
    #: a higher one.
    priority: Literal["low", "normal"] | None = None
    #: Seconds to wait before it starts.
    countdown: float | None = Field(default=None, ge=0, le=LONGEST_COUNTDOWN, allow_inf_nan=False)


class Submissions(Request):
    """Tasks to send; none is sent unless all are valid."""

    tasks: list[Submission] = Field(min_length=1, max_length=MOST_TASKS)


def submissions(names: Iterable[str]) -> tuple[type[Submission], type[Submissions]]:
    """Return the two request bodies with the allowed tasks, for the API's documentation.

    Args:
        names: The names of these tasks.
    """
    task = (str, Field(json_schema_extra={"enum": list(names)}))
    one = create_model("Submission", __base__=Submission, __doc__=Submission.__doc__, task=task)
    list_of_them: Any = GenericAlias(list, one)
    tasks = (list_of_them, Field(min_length=1, max_length=MOST_TASKS))
    many = create_model(
        "Submissions", __base__=Submissions, __doc__=Submissions.__doc__, tasks=tasks
    )
    return one, many


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
    """The answer for something that works; what does not work is answered as a problem."""

    status: Literal["ok"]


class Queue(BaseModel):
    """A queue and what waits in it."""

    name: str
    messages: int
    #: The age of the oldest message in seconds, if the broker reveals it.
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
    #: The number of tasks that it has accepted since its start.
    tasks: int
    uptime_seconds: int


class Workers(BaseModel):
    """The workers that answer."""

    workers: list[Worker]


class HeldTask(BaseModel):
    """A task that a worker runs, or holds until it is due."""

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


class DeadLetterFilter(BaseModel):
    """A filter for dead letters, and the page to show. In a text, `*` matches anything."""

    task: str = Field(default="*", max_length=255)
    error: str = Field(default="*", max_length=255)
    queue: str = Field(default="*", max_length=255)
    reason: str = Field(default="*", max_length=255)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    replayed: bool | None = None
    limit: int = Field(default=50, ge=1, le=500)
    offset: int = Field(default=0, ge=0, le=1_000_000)


class DeadLetter(BaseModel):
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


class DeadLetterPage(BaseModel):
    """Dead letters, the newest first."""

    letters: list[DeadLetter]
    #: The offset of the next page, if there is one.
    next_offset: int | None


class WholeDeadLetter(BaseModel):
    """Everything about a dead letter."""

    model_config = ConfigDict(extra="allow")

    id: str
    task: str


def plain(value: object) -> Any:
    """Return a value that JSON can represent; others, such as dates or NaN, become text."""
    return json.loads(json.dumps(value, default=str), parse_constant=str)
