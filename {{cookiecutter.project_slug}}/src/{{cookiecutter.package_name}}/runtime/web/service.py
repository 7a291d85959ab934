"""Sending tasks on behalf of clients, without a framework."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from celery import Task

from ..letters.letter import DeadLetter
from ..letters.replay import replay
from ..letters.store import Letters
from . import bodies, problems, servers
from .bodies import Submission
from .catalogue import Catalogue
from .servers import Check

if TYPE_CHECKING:
    from ..app import App


class Service:
    """A service that sends tasks and keeps no results, for projects without a shared result store.

    Attributes:
        about: What the documentation says at its top.
        has_live_page: Whether clients can follow tasks, also on the page `/live`.

    Args:
        app: The app that sends them.
        catalogue: The tasks that may be sent.
        priorities: The project's priorities; clients may name `LOW` and `NORMAL`.
        checks: The servers that a web process needs besides the broker: see `servers.ready`.
    """

    about: ClassVar[str] = (
        "Clients send the tasks of a catalogue. Nobody can follow them here, because no result is"
        " kept that this process could read."
    )
    has_live_page: ClassVar[bool] = False

    def __init__(
        self,
        app: App,
        catalogue: Catalogue,
        priorities: type[IntEnum],
        checks: Mapping[str, Check] | None = None,
    ) -> None:
        self.app = app
        self.catalogue = catalogue
        self.priorities = priorities
        self.checks = dict(checks or {})

    def needed(self) -> dict[str, Check]:
        """Return the checks of the servers that a web process needs: see `servers.ready`."""
        return {"broker": partial(servers.check_broker, self.app), **self.checks}

    def ready(self) -> bodies.Readiness:
        """Make sure that all needed servers answer.

        Raises:
            Problem: One of them does not.
        """
        return servers.ready(self.needed())

    def allowed(self) -> bodies.AllowedTasks:
        """Return the tasks that clients may send."""
        return bodies.AllowedTasks(
            tasks=[
                bodies.AllowedTask(
                    task=name,
                    description=described(self.app.tasks[name]),
                    arguments=model.model_json_schema(),
                    has_artifact=name in self.catalogue.artifacts,
                )
                for name, model in self.catalogue.items()
            ]
        )

    def submit(self, submission: Submission) -> bodies.Accepted:
        """Send a task.

        Raises:
            Problem: It is not allowed, or its arguments are not valid.
        """
        arguments = self.catalogue.checked(submission.task, submission.arguments)
        return bodies.Accepted(id=self.send(submission, arguments))

    def submit_all(self, submissions: bodies.Submissions) -> bodies.AcceptedTasks:
        """Send several tasks, or none if one of them is not valid.

        Raises:
            Problem: One is not valid; or the broker became unreachable, and the problem lists the
                tasks that were sent before.
        """
        tasks = submissions.tasks
        valid = [
            self.catalogue.checked(task.task, task.arguments, f"tasks.{number}.arguments")
            for number, task in enumerate(tasks)
        ]
        sent: list[str] = []
        try:
            for task, arguments in zip(tasks, valid, strict=True):
                sent.append(self.send(task, arguments))
        except Exception as error:
            problem = problems.of_error(error)
            problem.body.accepted = sent
            raise problem from error
        return bodies.AcceptedTasks(tasks=[bodies.Accepted(id=task_id) for task_id in sent])

    def send(self, submission: Submission, arguments: dict[str, Any]) -> str:
        """Send a task whose arguments are valid, and return its id."""
        return self.publish(
            self.app.tasks[submission.task], arguments, options(submission, self.priorities)
        )

    def publish(
        self, task: Task[Any, Any], arguments: dict[str, Any], options: dict[str, Any]
    ) -> str:
        """Publish a task, and return its id.

        Args:
            task: The task.
            arguments: Its arguments.
            options: Those of `apply_async`.
        """
        return str(task.apply_async(kwargs=arguments, ignore_result=True, **options).id)

    def headers(self, accepted: bodies.Accepted) -> dict[str, str]:
        """Return the headers of the answer about a task that was sent."""
        return {}

    def replay(self, letters: Letters, letter: DeadLetter, by: str) -> str:
        """Send the task of a dead letter again, as a new task, and return its id.

        Args:
            letters: The store that holds it.
            letter: The dead letter.
            by: Who asked for the replay.

        Raises:
            DeadLetterError: It was replayed before, or it cannot be replayed.
        """
        return replay(self.app, letters, letter.id, by)


def described(task: Task[Any, Any]) -> str:
    """Return the first line of a task's docstring."""
    return (task.__doc__ or "").strip().partition("\n")[0]


def options(submission: Submission, priorities: type[IntEnum]) -> dict[str, Any]:
    """Return the options with which a task is sent."""
    given = submission.model_dump(include={"priority", "countdown"}, exclude_none=True)
    if "priority" in given:
        given["priority"] = priorities[given["priority"].upper()].value
    return given
