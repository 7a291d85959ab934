"""When a task is tried again, shown by a real worker."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.tasks import base

CALLS: list[float] = []


@app.task(base=base.BaseTask, name="tests.fail", retry_backoff=False, default_retry_delay=0)
def fail(error: str, times: int, *args: Any) -> int:
    CALLS.append(time.monotonic())
    if len(CALLS) <= times:
        raise getattr(base, error)("on purpose", *args)
    return len(CALLS)


@pytest.fixture(autouse=True)
def calls() -> Iterator[None]:
    CALLS.clear()
    yield
    CALLS.clear()


def test_a_transient_error_is_tried_again(run: Callable[..., Any]) -> None:
    assert run(fail, "TransientError", 2) == ("SUCCESS", 3)


def test_a_permanent_error_is_not(run: Callable[..., Any]) -> None:
    state, error = run(fail, "PermanentError", 1)
    assert (state, len(CALLS), str(error)) == ("FAILURE", 1, "on purpose")


def test_retry_after_is_waited_for(run: Callable[..., Any]) -> None:
    assert run(fail, "RateLimitedError", 1, 1.5).state == "SUCCESS"
    assert CALLS[1] - CALLS[0] >= 1.5


def test_the_task_fails_when_the_budget_of_retries_is_spent(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fail, "max_retries", 3)
    state, error = run(fail, "TransientError", 99)
    assert (state, len(CALLS), str(error)) == ("FAILURE", 4, "on purpose")


def test_the_wait_grows_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("celery.app.task.Task.retry", lambda self, *args: waits.append(args[5]))
    error = base.RateLimitedError("slow down", 10 * base.MAX_RETRY_AFTER)
    fail.retry(exc=error, countdown=1)
    fail.retry(exc=base.TransientError(), countdown=1)
    assert waits == [base.MAX_RETRY_AFTER, 1]
