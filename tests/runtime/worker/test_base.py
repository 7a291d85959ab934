"""When a task is tried again, shown by a real worker."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.exceptions import Ignore, Reject

from my_celery_project.celery import app
from my_celery_project.runtime import errors
from my_celery_project.runtime.runs import (
    CRASHES_HEADER,
    SUSPICIOUS,
)
from my_celery_project.runtime.tasks import base

CALLS: list[float] = []


@app.task(base=base.BaseTask, name="tests.fail", retry_backoff=False, default_retry_delay=0)
def fail(error: str, times: int, *args: Any) -> int:
    CALLS.append(time.monotonic())
    if len(CALLS) <= times:
        raise getattr(errors, error)("on purpose", *args)
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


def test_a_retry_that_cannot_be_sent_is_not_lost(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise OSError("the broker is away")

    monkeypatch.setattr("celery.canvas.Signature.apply_async", refuse)
    assert run(fail, "TransientError", 1) == ("SUCCESS", 2)


def test_the_wait_grows_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("celery.app.task.Task.retry", lambda self, *args: waits.append(args[5]))
    error = errors.RateLimitedError("slow down", 10 * base.MAX_RETRY_AFTER)
    fail.retry(exc=error, countdown=1)
    fail.retry(exc=errors.TransientError(), countdown=1)
    assert waits == [base.MAX_RETRY_AFTER, 1]


def start(redelivered: bool, crashes: int) -> str:
    """Return what becomes of the start of a task whose worker has died so often."""
    fail.push_request(
        id="1",
        headers={CRASHES_HEADER: crashes} if crashes else {},
        delivery_info={"redelivered": redelivered, "routing_key": "default"},
        called_directly=False,
    )
    try:
        fail.before_start("1", (), {})
    except (Ignore, Reject) as end:
        return type(end).__name__
    finally:
        fail.pop_request()
    return "starts"


def test_what_kills_its_worker_is_sent_again_with_a_count_up_to_the_cap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(base, "send_again", sent.append)
    assert start(False, 0) == start(False, 1) == "starts"
    assert start(True, 1) == "Ignore"
    (again,) = sent
    assert again.options["headers"][CRASHES_HEADER] == 2
    assert again.options["countdown"] >= fail.default_retry_delay
    assert start(True, fail.max_crashes - 1) == "Reject"


#: How many of them run.
TOGETHER = threading.Semaphore(1)


@app.task(base=base.BaseTask, name="tests.one_at_a_time")
def alone() -> None:
    CALLS.append(time.monotonic())
    assert TOGETHER.acquire(blocking=False), "another one runs"
    try:
        time.sleep(0.3)
    finally:
        TOGETHER.release()


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("hindered", [False, True], ids=["", "nothing-can-be-sent-again"])
def test_suspects_of_a_crash_run_one_at_a_time(
    ended: Counter[tuple[str, str]],
    idle: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    hindered: bool,
) -> None:
    monkeypatch.setattr(alone, "default_retry_delay", 0.05)
    headers: dict[str, Any] = {CRASHES_HEADER: SUSPICIOUS}
    for _ in range(4):
        alone.apply_async(headers=headers)
    if hindered:
        monkeypatch.setattr("celery.canvas.Signature.apply_async", refuse)
    deadline = time.monotonic() + 10
    while ended.total() < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    idle()
    assert len(CALLS) == ended.total() == 4  # nothing is lost, even beside another one
    assert hindered or ended[alone.name, "SUCCESS"] == 4


def refuse(*_: object, **__: object) -> None:
    raise OSError("the broker is away")


def test_what_is_no_suspect_does_not_wait(ended: Counter[tuple[str, str]], worker: None) -> None:
    headers: dict[str, Any] = {CRASHES_HEADER: SUSPICIOUS - 1}
    for _ in range(2):
        alone.apply_async(headers=headers)
    deadline = time.monotonic() + 10
    while ended.total() < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ended[alone.name, "FAILURE"] == 1


@app.task(base=base.BaseTask, bind=True, name="tests.later", max_retries=1)
def later(self: Any, times: int) -> int:
    CALLS.append(time.monotonic())
    if len(CALLS) <= times:
        raise errors.NotNowError("not yet", 0.01)
    return int(self.request.retries)


def test_what_cannot_go_on_now_loses_no_retry(run: Callable[..., Any]) -> None:
    assert run(later, 3) == ("SUCCESS", 0)
