"""Results in the database."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError, transaction
from django_celery_results.models import TaskResult

from my_celery_project import config
from my_celery_project.celery import app
from my_celery_project.runtime.django import results

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def backend() -> results.DatabaseBackend:
    """Return a backend as a worker has it."""
    backend = results.DatabaseBackend(app=app)
    backend.always_retry = True
    return backend


def test_results_are_rows_unless_a_variable_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "development")
    assert config.load().result_backend == f"{results.DatabaseBackend.__module__}.DatabaseBackend"


def test_a_result_waits_for_the_database(backend: results.DatabaseBackend) -> None:
    store: Callable[..., Any] = TaskResult._default_manager.store_result
    outcomes: list[Any] = [OperationalError("away"), OperationalError("away")]

    def stores(**kwargs: Any) -> Any:
        if outcomes:
            raise outcomes.pop()
        return store(**kwargs)

    with patch.object(TaskResult._default_manager, "store_result", stores):
        backend.store_result("1", {"percent": 50}, "PROGRESS")
    meta = backend.get_task_meta("1")
    assert (meta["status"], meta["result"]) == ("PROGRESS", {"percent": 50})


def test_other_errors_and_a_transaction_are_final(backend: results.DatabaseBackend) -> None:
    assert not backend.exception_safe_to_retry(ValueError())
    with transaction.atomic():
        assert not backend.exception_safe_to_retry(OperationalError())


@pytest.mark.parametrize("end", ["SUCCESS", "FAILURE"])
def test_a_late_word_of_a_retry_does_not_undo_the_end(
    end: str, backend: results.DatabaseBackend
) -> None:
    backend.store_result("1", ValueError("on purpose"), "RETRY")
    assert TaskResult.objects.get(task_id="1").status == "RETRY"
    backend.store_result("1", KeyError("on purpose") if end == "FAILURE" else "done", end)
    backend.store_result("1", ValueError("on purpose"), "RETRY")
    assert TaskResult.objects.get(task_id="1").status == end
