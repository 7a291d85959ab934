import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import states
from celery.signals import task_revoked

from my_celery_project.celery import app
from my_celery_project.runtime.tasks import (
    base,
    followed,
)

GO_ON = threading.Event()
STARTED: list[str] = []

pytestmark = pytest.mark.skipif(
    not isinstance(app.cancellation, followed.Followed), reason="Django looks at the rows of jobs"
)


@app.task(base=base.BaseTask, bind=True, name="tests.followed")
def task(self: base.BaseTask) -> int:
    STARTED.append(str(self.request.id))
    GO_ON.wait(20)
    return 7


@app.task(base=base.AtMostOnceTask, name="tests.followed_once")
def once() -> None:
    GO_ON.wait(20)


@pytest.fixture(autouse=True)
def go_on() -> Iterator[None]:
    """Let the task end."""
    GO_ON.clear()
    yield
    GO_ON.set()


@pytest.fixture
def revoked() -> Iterator[list[str]]:
    """Collect the ids of tasks that were stopped before they started."""
    ids: list[str] = []

    def note(request: Any, **_: Any) -> None:
        ids.append(request.id)

    task_revoked.connect(note)
    yield ids
    task_revoked.disconnect(note)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


def state(task_id: str) -> str:
    """Return what is known of a task."""
    return followed.look(app, task_id).state


def test_a_task_is_known_from_when_it_is_sent(worker: None) -> None:
    with pytest.raises(followed.UnknownTaskError):
        followed.look(app, str(uuid4()))
    task_id = followed.send(task, {}, countdown=0.5)
    assert state(task_id) == followed.SENT
    wait_until(lambda: task_id in STARTED)
    assert state(task_id) == states.STARTED
    GO_ON.set()
    wait_until(lambda: state(task_id) == states.SUCCESS)
    assert followed.look(app, task_id).info == 7


def test_what_cannot_be_published_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    ids: list[str] = []

    def fail(**options: Any) -> None:
        ids.append(options["task_id"])
        raise ConnectionError

    monkeypatch.setattr(task, "apply_async", fail)
    with pytest.raises(ConnectionError):
        followed.send(task, {}, with_name=True)
    with pytest.raises(followed.UnknownTaskError):
        followed.look(app, ids[0])
    assert followed.name_of(app, ids[0]) is None


def test_the_name_of_a_task_is_kept_for_who_asks_for_it(worker: None) -> None:
    GO_ON.set()
    named, other = followed.send(task, {}, with_name=True), followed.send(task, {})
    wait_until(lambda: {state(named), state(other)} == {states.SUCCESS})
    assert followed.name_of(app, named) == task.name
    assert followed.name_of(app, other) is None


def test_a_task_that_was_sent_before_is_the_one_that_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = app.AsyncResult(str(uuid4()))
    monkeypatch.setattr(task, "apply_async", lambda **_: first)
    assert followed.send(task, {}) == first.id


@pytest.mark.parametrize("kind", [task, once], ids=lambda kind: kind.name)
def test_a_task_that_waits_never_starts(
    kind: base.BaseTask, worker: None, revoked: list[str]
) -> None:
    task_id = followed.send(kind, {}, countdown=0.5)
    followed.cancel(app, task_id)
    followed.cancel(app, task_id)
    wait_until(lambda: task_id in revoked)
    assert state(task_id) == states.REVOKED
    assert task_id not in STARTED


def test_a_task_that_starts_while_it_is_cancelled_does_not_run(
    worker: None, revoked: list[str]
) -> None:
    # As after a `cancel` that has seen the start, and looks for a worker that runs it.
    task_id = followed.send(task, {}, countdown=0.5)
    app.backend.store_result(followed.mark(task_id), None, states.REVOKED)
    wait_until(lambda: task_id in revoked)
    assert state(task_id) == states.REVOKED
    assert task_id not in STARTED
    followed.cancel(app, task_id)


def test_a_task_looks_later_when_the_store_is_away(
    worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def is_cancelled(_: object, task_id: str) -> bool:
        looks.append(task_id)
        if len(looks) == 1:
            raise ConnectionError("away")
        return False

    GO_ON.set()
    monkeypatch.setattr(task, "default_retry_delay", 0.1)
    monkeypatch.setattr(followed, "is_cancelled", is_cancelled)
    task_id = followed.send(task, {})
    wait_until(lambda: state(task_id) == states.SUCCESS)
    assert looks == [task_id] * 2
    assert STARTED.count(task_id) == 1


def test_a_task_that_runs_goes_on_where_its_pool_cannot_end_it(worker: None) -> None:
    task_id = followed.send(task, {})
    wait_until(lambda: task_id in STARTED)
    with pytest.raises(followed.NotCancelledError, match="cannot end a task: thread"):
        followed.cancel(app, task_id)
    assert not followed.is_cancelled(app, task_id)
    GO_ON.set()
    wait_until(lambda: state(task_id) == states.SUCCESS)
    with pytest.raises(followed.NotCancelledError, match="the task has ended already: SUCCESS"):
        followed.cancel(app, task_id)


def test_a_task_whose_worker_does_not_answer_is_not_cancelled(worker: None) -> None:
    task_id = str(uuid4())
    app.backend.store_result(task_id, {"hostname": "lost"}, states.STARTED)
    with pytest.raises(followed.NotCancelledError, match="its worker does not answer"):
        followed.cancel(app, task_id)
    assert not followed.is_cancelled(app, task_id)


def test_the_worker_that_runs_a_task_is_told_to_end_it(
    worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def revoke(task_id: str, **options: Any) -> None:
        asked.update(options, task_id=task_id)
        app.backend.mark_as_revoked(task_id, "terminated")

    monkeypatch.setattr(followed, "CAN_END", ("thread",))
    monkeypatch.setattr(app.control, "revoke", revoke)
    task_id = followed.send(task, {})
    wait_until(lambda: task_id in STARTED)
    followed.cancel(app, task_id)
    assert (asked["task_id"], asked["terminate"]) == (task_id, True)
    assert len(asked["destination"]) == 1
