"""What clients do, whatever the framework: send tasks."""

from __future__ import annotations

from typing import Any

from ..celery import app
from ..queues import Priority
{% if cookiecutter.__results %}
from ..runtime.tasks import followed
{% endif %}
from . import bodies, catalog, problems
from .bodies import Submission


def allowed() -> bodies.AllowedTasks:
    """Return the tasks that clients may send."""
    return bodies.AllowedTasks(
        tasks=[
            bodies.AllowedTask(
                task=name, description=catalog.described(name), arguments=model.model_json_schema()
            )
            for name, model in catalog.ALLOWED.items()
        ]
    )


def options(submission: Submission) -> dict[str, Any]:
    """Return how a task is to be sent."""
    given = submission.model_dump(include={"priority", "countdown"}, exclude_none=True)
    if "priority" in given:
        given["priority"] = Priority[given["priority"].upper()].value
    return given


def submit(submission: Submission) -> bodies.Accepted:
    """Send a task.

    Raises:
        Problem: It is not allowed, or its arguments are not valid.
    """
    arguments = catalog.checked(submission.task, submission.arguments)
    return bodies.Accepted(id=send(submission, arguments))


def send(submission: Submission, arguments: dict[str, Any]) -> str:
    """Send a task whose arguments are valid, and return its id."""
{% if cookiecutter.__results %}
    return followed.send(app.tasks[submission.task], arguments, **options(submission))
{% else %}
    task = app.tasks[submission.task]
    return str(task.apply_async(kwargs=arguments, ignore_result=True, **options(submission)).id)
{% endif %}


def submit_all(submissions: bodies.Submissions) -> bodies.AcceptedTasks:
    """Send tasks, or none if one of them is not valid.

    Raises:
        Problem: One is not; or the broker went away, and the answer names those that were sent.
    """
    tasks = submissions.tasks
    valid = [
        catalog.checked(task.task, task.arguments, f"tasks.{number}.arguments")
        for number, task in enumerate(tasks)
    ]
    sent: list[str] = []
    try:
        for task, arguments in zip(tasks, valid, strict=True):
            sent.append(send(task, arguments))
    except Exception as error:
        problem = problems.of_error(error)
        problem.body.accepted = sent
        raise problem from error
    return bodies.AcceptedTasks(tasks=[bodies.Accepted(id=task_id) for task_id in sent])
