"""The operations of the API as its documentation at `/docs` shows them, written once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel

from . import bodies
from .problems import MEDIA_TYPE, Problem, ProblemBody

#: The version of OpenAPI that both frameworks can write.
OPENAPI = "3.1.0"

#: What each group of operations is for.
TAGS = {
    "tasks": "Send tasks, and follow them.",
    "admin": "Look at workers and queues, and repair what failed; all of it needs the admin token.",
    "health": "What a load balancer or an orchestrator asks.",
}

#: For each status of an error, when it is answered, and an example of its detail.
ERRORS: dict[int, tuple[str, str]] = {
    401: ("The admin token is missing or wrong", "send the admin token in the header ..."),
    404: ("There is none with this id", "there is no task 0b7c9d2e-...: it was never sent, ..."),
    409: (
        "Its state does not allow it",
        "the task has no result, because its state is STARTED: ask again later",
    ),
    413: ("The body is too large", "the body is larger than 1000000 bytes: send less"),
    422: ("The request is not valid", "the request is not valid"),
    503: (
        "A server that it needs does not answer",
        "the broker or the result store does not answer: try again later",
    ),
}

#: Errors that any operation may answer, with an example of each kind.
OTHERS: dict[str, tuple[int, str, str]] = {
    "4XX": (405, "Another mistake in the request", "the method is not allowed for this URL"),
    "5XX": (500, "Another fault of a server", "an unexpected error: see the server's log"),
}

#: What is wrong with a request, in the example of a 422.
FIELDS = [{"field": "arguments.source", "message": "Field required"}]


class Operation(NamedTuple):
    """An operation.

    Args:
        id: Its id, which is the name of a function in generated clients.
        summary: Its title.
        description: What it does.
        answer: The body of its answer, if that is JSON.
        status: The status of its answer.
        errors: The errors that it answers, of `ERRORS`.
        content: The body of an answer that is not JSON, by its media type.
        others: Answers without a body, by their status, and when they are given.
    """

    id: str
    summary: str
    description: str
    answer: type[BaseModel] | None
    status: int = 200
    errors: tuple[int, ...] = (503,)
    content: Mapping[str, Any] | None = None
    others: Mapping[int, str] = MappingProxyType({})

    def answers(self) -> dict[Any, Any]:
        """Return the documentation of its answers, by their status, but for `answer`."""
        return {
            **({str(self.status): ok(self.content)} if self.content else {}),
            **{str(status): {"description": when} for status, when in self.others.items()},
            **{str(status): of_error(status) for status in sorted({*self.errors, 422})},
            **{key: documented(*other) for key, other in OTHERS.items()},
        }


def ok(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the documentation of an answer that is not JSON."""
    return {"description": "OK", "content": dict(content)}


def of_error(status: int) -> dict[str, Any]:
    """Return the documentation of an error."""
    return documented(status, *ERRORS[status])


def documented(status: int, when: str, detail: str) -> dict[str, Any]:
    """Return the documentation of an answer with a problem.

    Args:
        status: Its status, in the example.
        when: When it is given.
        detail: What it says, in the example.
    """
    body = Problem(status, detail, errors=FIELDS if status == 422 else None).body
    example = body.model_dump(exclude_none=True)
    media = {"schema": ProblemBody.model_json_schema(), "example": example}
    return {"description": when, "content": {MEDIA_TYPE: media}}


ALLOWED = Operation(
    "list_allowed_tasks",
    "List the tasks that can be sent",
    "With the JSON schema of their arguments. A task that is not listed cannot be sent.",
    bodies.AllowedTasks,
    errors=(),
)
SUBMIT = Operation(
    "send_task",
    "Send a task",
    "The answer holds the id of the task. If tasks can be followed, the header `Location` is the"
    " URL of its status.",
    bodies.Accepted,
    status=202,
    errors=(413, 503),
)
SUBMIT_ALL = Operation(
    "send_tasks",
    "Send several tasks",
    "None is sent unless all are valid. If a server fails halfway, the error lists the ids of the"
    " tasks that were sent.",
    bodies.AcceptedTasks,
    status=202,
    errors=(413, 503),
)

STATUS = Operation(
    "get_task",
    "Show the state and progress of a task",
    "A task that waits has the state `SENT`. The error of a task that failed is in `failure`.",
    bodies.Status,
    errors=(404, 503),
)
RESULT = Operation(
    "get_result",
    "Show what a task returned",
    "It is 409 for a task that has not ended, and for one that failed or was cancelled.",
    bodies.Result,
    errors=(404, 409, 503),
)
ARTIFACT = Operation(
    "download_artifact",
    "Download the file that a task has made",
    "Only for the tasks with `has_artifact` in the list of tasks; their result is the pointer to"
    " the file. It is 404 for others, and after the file was deleted.",
    None,
    errors=(404, 409, 503),
    content={"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
)
CANCEL = Operation(
    "cancel_task",
    "Cancel a task",
    "A waiting task will never start. A running one is ended if the pool of its worker can do that;"
    " otherwise, and if it has ended, the answer is 409.",
    bodies.Status,
    errors=(404, 409, 503),
)
EVENTS = Operation(
    "follow_task",
    "Follow a task by server-sent events",
    "An event `status` for every change, with the same content as the state of the task, and an"
    " event `end` as the last one. A stream that is quiet holds a comment every few seconds. A"
    " client that connects again with `Last-Event-ID` hears nothing twice; if it knows the end"
    " already, the answer is 204.",
    None,
    errors=(404, 503),
    content={
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": 'event: end\nid: 3f0c8a51d2b94e67\ndata: {"state": "SUCCESS", ...}\n\n',
        }
    },
    others={204: "The client knows the end already"},
)

WORKERS = Operation(
    "list_workers", "List the workers that answer", "", bodies.Workers, errors=(401, 503)
)
QUEUES = Operation(
    "list_queues",
    "Show what waits in each queue",
    "How many messages wait, and for how long, if the broker reveals it. Tasks that a worker holds"
    " for later are not included.",
    bodies.Queues,
    errors=(401, 503),
)
ACTIVE = Operation(
    "list_active_tasks", "List the running tasks", "", bodies.HeldTasks, errors=(401, 503)
)
SCHEDULED = Operation(
    "list_scheduled_tasks",
    "List the tasks that workers hold until they are due",
    "",
    bodies.HeldTasks,
    errors=(401, 503),
)
REGISTERED = Operation(
    "list_registered_tasks",
    "List the tasks that each worker knows",
    "",
    bodies.Registered,
    errors=(401, 503),
)
DEAD_LETTERS = Operation(
    "list_dead_letters",
    "List dead letters",
    "Tasks that failed for good, and messages that are not tasks; the newest first.",
    bodies.DeadLetterPage,
    errors=(401, 503),
)
DEAD_LETTER = Operation(
    "get_dead_letter",
    "Show everything about a dead letter",
    "With its arguments, headers, traceback and history.",
    bodies.WholeDeadLetter,
    errors=(401, 404, 503),
)
REPLAY = Operation(
    "replay_dead_letter",
    "Replay a dead letter",
    "Its task is sent again, once, as a new task; the answer holds the id of that.",
    bodies.Accepted,
    status=202,
    errors=(401, 404, 409, 503),
)
DISCARD = Operation(
    "discard_dead_letter",
    "Delete a dead letter",
    "",
    None,
    status=204,
    errors=(401, 404, 503),
)

LIVE = Operation(
    "is_alive", "Does this process answer?", "No other server is asked.", bodies.Health, errors=()
)
READY = Operation(
    "is_ready",
    "Do the servers that it needs answer?",
    "The error names those that do not.",
    bodies.Readiness,
)
CELERY = Operation(
    "has_worker",
    "Does a worker answer?",
    "For each queue, how many workers consume it, and how many messages wait. The answer may be a"
    " few seconds old.",
    bodies.CeleryHealth,
)
