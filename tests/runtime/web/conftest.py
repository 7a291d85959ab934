"""The web app may send one task more."""

from pathlib import Path

import pytest

from my_celery_project.celery import app
from my_celery_project.runtime import errors
from my_celery_project.runtime.tasks import base
from my_celery_project.runtime.web.catalogue import Arguments
from my_celery_project.web import catalog


@app.task(base=base.BaseTask, name="tests.needs")
def needs(path: str) -> str:
    """Return the content of a file, or fail."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise errors.PermanentError(f"no {path}") from error


class PathArguments(Arguments):
    """Arguments of the task above."""

    path: str


@pytest.fixture(autouse=True)
def one_task_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.ALLOWED, needs.name, PathArguments)
