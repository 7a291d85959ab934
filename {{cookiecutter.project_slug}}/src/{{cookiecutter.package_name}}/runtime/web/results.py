"""Following tasks that clients have sent: state, progress and result, and cancelling them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from celery import Task, states

from ..letters.letter import DeadLetter
from ..letters.replay import replay
from ..letters.store import Letters
from ..tasks import followed
from ..tasks.followed import NotCancelledError, Report, UnknownTaskError
from ..tasks.progress import PROGRESS
from . import artifacts, servers
from .artifacts import Download, Files
from .bodies import Accepted, Failure, Result, Status, plain
from .catalogue import Catalogue
from .problems import Problem
from .servers import Check
from .service import Service

if TYPE_CHECKING:
    from ..app import App


class FollowedService(Service):
    """A service whose tasks clients can follow by id, for projects with a shared result store.

    Args:
        app: The app that sends them.
        catalogue: The tasks that may be sent.
        priorities: The project's priorities; clients may name `LOW` and `NORMAL`.
        checks: The servers that a web process needs besides the broker: see `servers.ready`.
        artifacts: Where the files are to which the results of `catalogue.artifacts` point.
    """

    about: ClassVar[str] = (
        "Clients send the tasks of a catalogue, and follow, cancel and read them by their ids."
        " The [live page](live) does all of that in a browser."
    )
    has_live_page: ClassVar[bool] = True

    def __init__(
        self,
        app: App,
        catalogue: Catalogue,
        priorities: type[IntEnum],
        checks: Mapping[str, Check] | None = None,
        artifacts: Files | None = None,
    ) -> None:
        super().__init__(app, catalogue, priorities, checks)
        self.artifacts = artifacts

    def needed(self) -> dict[str, Check]:
        """Return the checks of the servers that a web process needs."""
        read = partial(self.app.backend.get_task_meta, "health", cache=False)
        return {**super().needed(), "results": read}

    def publish(
        self, task: Task[Any, Any], arguments: dict[str, Any], options: dict[str, Any]
    ) -> str:
        """Publish a task that keeps its result, and return its id."""
        with_name = task.name in self.catalogue.artifacts
        return followed.send(task, arguments, with_name=with_name, **options)

    def headers(self, accepted: Accepted) -> dict[str, str]:
        """Return a `Location` header with the URL of the task's status."""
        return {"Location": f"/tasks/{accepted.id}"}

    def replay(self, letters: Letters, letter: DeadLetter, by: str) -> str:
        """Send the task of a dead letter again, as a task that clients can follow."""
        if followed.FOLLOWED_HEADER not in letter.headers:
            return super().replay(letters, letter, by)
        task_id = str(uuid4())
        name = letter.task if letter.task in self.catalogue.artifacts else ""
        with followed.noted(self.app, task_id, name):
            return replay(self.app, letters, letter.id, by, task_id)

    def status(self, task_id: str) -> Status:
        """Return the state of a task.

        Raises:
            Problem: No such task was sent.
        """
        with explained():
            return status_of(task_id, followed.look(self.app, task_id))

    def result(self, task_id: str) -> Result:
        """Return what a task returned.

        Raises:
            Problem: No such task was sent, or it has no result (yet).
        """
        with explained():
            report = followed.look(self.app, task_id)
        if report.state != states.SUCCESS:
            ended = report.state in states.READY_STATES
            more = "it will never have one" if ended else "ask again later"
            raise Problem(
                HTTPStatus.CONFLICT,
                f"the task has no result, because its state is {report.state}: {more}",
            )
        return Result(id=task_id, result=plain(report.info))

    def artifact(self, task_id: str) -> Download:
        """Open the file to which the result of a task points.

        The pointer is read from the result, never from the request, and only tasks that the
        catalogue names have one: otherwise, a task that returns what a client has sent it would
        open every file.

        Raises:
            Problem: No such task was sent, or it has no result (yet), or this is not a file.
        """
        pointer = self.result(task_id).result
        is_one = self.name_of(task_id) in self.catalogue.artifacts
        if not (self.artifacts and is_one and isinstance(pointer, str)):
            raise artifacts.absent("the result of this task is not a file to download")
        return artifacts.download(self.artifacts, pointer)

    def name_of(self, task_id: str) -> str | None:
        """Return the name of a task, which is known of those of `catalogue.artifacts` at least."""
        return followed.name_of(self.app, task_id)

    def cancel(self, task_id: str) -> Status:
        """Cancel a task: a waiting one will never start, a running one is ended.

        Raises:
            Problem: No such task was sent; it has ended, or its pool cannot end it.
        """
        with explained():
            if followed.look(self.app, task_id).state in followed.WAITING:
                followed.cancel(self.app, task_id)
            else:
                with servers.broker(self.app) as connection:
                    followed.cancel(self.app, task_id, connection)
        return self.status(task_id)


@contextmanager
def explained() -> Iterator[None]:
    """Turn errors about tasks in this block into problems."""
    try:
        yield
    except UnknownTaskError as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
    except NotCancelledError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error


def status_of(task_id: str, report: Report) -> Status:
    """Return a report as clients see it."""
    state, info = report
    failure = None
    if isinstance(info, Exception) and state != states.REVOKED:
        failure = Failure(error=type(info).__name__, message=str(info))
    return Status(
        id=task_id,
        state=state,
        ended=state in states.READY_STATES,
        progress=plain(info) if state == PROGRESS and isinstance(info, dict) else None,
        failure=failure,
    )
