"""The app with a task that fails until a file is there: `celery -A failing worker`."""

from pathlib import Path

from my_celery_project.celery import app
from my_celery_project.runtime.errors import (
    PermanentError,
)
from my_celery_project.runtime.tasks.base import (
    BaseTask,
)


@app.task(base=BaseTask, name="tests.needs")
def needs(path: str) -> None:
    if not Path(path).exists():
        raise PermanentError(f"there is no {path}")


@app.task(base=BaseTask, name="tests.sends")
def sends(name: str, queue: str) -> None:
    app.send_task(name, queue=queue)
