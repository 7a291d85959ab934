"""The app with a task that fails until a file is there: `celery -A failing worker`."""

from pathlib import Path

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.runtime.errors import (
    PermanentError,
)
from {{ cookiecutter.package_name }}.runtime.tasks.base import (
    BaseTask,
)


@app.task(base=BaseTask, name="tests.needs")
def needs(path: str) -> None:
    if not Path(path).exists():
        raise PermanentError(f"there is no {path}")
