"""The bodies of requests and answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import GenericAlias
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    create_model,
)

#: An id of a task.
TaskId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]

#: Examples in the documentation.
ID = Field(examples=["0b7c9d2e-4f1a-4c3b-9a68-5d2e7f0c1b34"])
TASK = Field(examples=["reports.totals"])
QUEUE = Field(examples=["cpu"])
WORKER = Field(examples=["cpu@host-1"])
ERROR = Field(examples=["PermanentError"])
TEXT = Field(examples=["line 7: no value in 'region'"])
TIME = Field(examples=["2026-01-31T08:15:00+00:00"])
COUNT = Field(examples=[3])

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
    # A client cannot ask for a higher one.
    priority: Literal["low", "normal"] | None = Field(
        default=None,
        description="The priority inside its queue; by default, that of the task's route.",
    )
    countdown: float | None = Field(
        default=None,
        ge=0,
        le=LONGEST_COUNTDOWN,
        allow_inf_nan=False,
        description="Seconds to wait before it starts.",
    )


class Submissions(Request):
    """Tasks to send; none is sent unless all are valid."""

    tasks: list[Submission] = Field(min_length=1, max_length=MOST_TASKS)


def submissions(
    tasks: Mapping[str, type[BaseModel]],
) -> tuple[type[Submission], type[Submissions]]:
    """Return the two request bodies with the allowed tasks, for the API's documentation.

    Args:
        tasks: The arguments of each of these tasks.
    """
    examples: list[JsonValue] = [
        {"task": name, "arguments": example(arguments)} for name, arguments in tasks.items()
    ]
    enum = (str, Field(json_schema_extra={"enum": list(tasks)}))
    one = create_model("Submission", __base__=Submission, __doc__=Submission.__doc__, task=enum)
    one.model_config["json_schema_extra"] = {"examples": examples}
    list_of_them: Any = GenericAlias(list, one)
    all_of_them = (
        list_of_them,
        Field(min_length=1, max_length=MOST_TASKS, examples=[examples[:2]]),
    )
    many = create_model(
        "Submissions", __base__=Submissions, __doc__=Submissions.__doc__, tasks=all_of_them
    )
    return one, many


def example(arguments: type[BaseModel]) -> dict[str, Any]:
    """Return the first example of each argument that has one."""
    fields = arguments.model_fields.items()
    return {name: field.examples[0] for name, field in fields if field.examples}


class AllowedTask(BaseModel):
    """A task that clients may send."""

    task: str = TASK
    description: str = Field(examples=["Add up a CSV file, and return the pointer to the report."])
    arguments: dict[str, Any] = Field(
        description="The JSON schema of its arguments.",
        examples=[{"properties": {"source": {"type": "string"}}, "required": ["source"]}],
    )
    has_artifact: bool = Field(
        description=(
            "Whether its result is a pointer to a file, which `GET /tasks/{task_id}/artifact`"
            " downloads."
        ),
        examples=[True],
    )


class AllowedTasks(BaseModel):
    """The tasks that clients may send."""

    tasks: list[AllowedTask]


class Accepted(BaseModel):
    """A task that was sent."""

    id: str = ID


class AcceptedTasks(BaseModel):
    """Tasks that were sent, in the order of the request."""

    tasks: list[Accepted]


class Failure(BaseModel):
    """Why a task failed."""

    error: str = ERROR
    message: str = TEXT


class Status(BaseModel):
    """The state of a task."""

    id: str = ID
    state: str = Field(
        description=(
            "`SENT`, `STARTED`, `PROGRESS` or `RETRY`, and at the end `SUCCESS`, `FAILURE` or"
            " `REVOKED`."
        ),
        examples=["PROGRESS"],
    )
    ended: bool = Field(description="Whether it has ended.", examples=[False])
    progress: dict[str, Any] | None = Field(
        description="How far it is, in the state `PROGRESS`.",
        examples=[{"current": 120, "total": 400, "percent": 30.0, "message": "adding up"}],
    )
    failure: Failure | None = Field(
        description="The error of a task that failed, or that is tried again.", examples=[None]
    )


class Result(BaseModel):
    """What a task returned."""

    id: str = ID
    result: Any = Field(examples=["reports/0b7c9d2e-4f1a-4c3b-9a68-5d2e7f0c1b34.csv"])


class Health(BaseModel):
    """The answer for something that works; what does not work is answered as a problem."""

    status: Literal["ok"]


class Server(BaseModel):
    """A server that answers."""

    name: str = Field(examples=["broker"])
    seconds: float = Field(description="How long its answer took.", examples=[0.004])


class Readiness(Health):
    """The servers that this process needs, all of which answer."""

    servers: list[Server]


class ServedQueue(BaseModel):
    """A queue, and how many workers consume it."""

    name: str = QUEUE
    workers: int = COUNT
    messages: int = COUNT


class CeleryHealth(Health):
    """What is known of workers, queues and beat; at least one worker answers."""

    queues: list[ServedQueue]
    beat_seconds: float | None = Field(
        description="Seconds since beat has looked at its schedule, if that is known.",
        examples=[2.5],
    )


class Queue(BaseModel):
    """A queue and what waits in it."""

    name: str = QUEUE
    messages: int = COUNT
    oldest_seconds: float | None = Field(
        description="The age of the oldest message, if the broker reveals it.", examples=[1.5]
    )


class Queues(BaseModel):
    """All queues."""

    queues: list[Queue]


class Worker(BaseModel):
    """A worker that answers."""

    name: str = WORKER
    pool: str = Field(examples=["prefork"])
    concurrency: int = Field(examples=[4])
    queues: list[str] = Field(examples=[["cpu"]])
    tasks: int = Field(description="How many tasks it has accepted since its start.", examples=[3])
    uptime_seconds: int = Field(examples=[3600])


class Workers(BaseModel):
    """The workers that answer."""

    workers: list[Worker]


class HeldTask(BaseModel):
    """A task that a worker runs, or holds until it is due."""

    id: str = ID
    task: str = TASK
    worker: str = WORKER
    args: list[Any] = Field(examples=[[]])
    kwargs: dict[str, Any] = Field(examples=[{"source": "demo/sales.csv"}])
    started_at: datetime | None = Field(default=None, examples=["2026-01-31T08:15:00Z"])
    due_at: str | None = Field(default=None, examples=["2026-01-31T09:00:00+00:00"])


class HeldTasks(BaseModel):
    """Tasks that workers run or hold."""

    tasks: list[HeldTask]


class Registered(BaseModel):
    """The tasks that each worker knows."""

    workers: dict[str, list[str]] = Field(
        examples=[{"cpu@host-1": ["heartbeat.beat", "reports.totals"]}]
    )


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

    id: str = ID
    task: str = TASK
    queue: str = QUEUE
    reason: str = Field(examples=["failed"])
    error: str = ERROR
    text: str = TEXT
    attempts: int = Field(examples=[1])
    failed_at: str = TIME
    count: int = Field(examples=[1])
    last_failed_at: str | None = Field(examples=[None])
    replayed_as: str | None = Field(examples=[None])


class DeadLetterPage(BaseModel):
    """Dead letters, the newest first."""

    letters: list[DeadLetter]
    next_offset: int | None = Field(
        description="The offset of the next page, if there is one.", examples=[50]
    )


class WholeDeadLetter(BaseModel):
    """Everything about a dead letter."""

    model_config = ConfigDict(extra="allow")

    id: str = ID
    task: str = TASK


def plain(value: object) -> Any:
    """Return a value that JSON can represent; others, such as dates or NaN, become text."""
    return json.loads(json.dumps(value, default=str), parse_constant=str)
