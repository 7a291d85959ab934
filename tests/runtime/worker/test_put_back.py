"""Tasks that cannot go on now, and tasks that are sent once, in a real worker."""

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fakeredis import FakeRedis
from redis.exceptions import ConnectionError as Away

from my_celery_project.celery import app
from my_celery_project.runtime.errors import (
    NotNowError,
)
from my_celery_project.runtime.guards import (
    idempotency,
    unique,
)
from my_celery_project.runtime.guards.unique import (
    UniqueTask,
)
from my_celery_project.runtime.redis import store
from my_celery_project.runtime.tasks.base import (
    BaseTask,
)

pytestmark = pytest.mark.usefixtures("redis")

Run = Callable[..., Any]

waits: list[str] = []


@app.task(base=BaseTask, bind=True, name="tests.go_back", max_retries=1)
def wait(self: BaseTask, times: int) -> int:
    """Go back more often than a task may be tried."""
    waits.append(str(self.request.id))
    if len(waits) <= times:
        raise NotNowError("not yet", 0.01)
    return int(self.request.retries)


@app.task(base=BaseTask, name="tests.pay_once", retry_backoff_max=1)
@idempotency.idempotent()
def pay_once(name: str) -> str:
    return name


@app.task(base=UniqueTask, name="tests.sent_once")
def once(name: str, amount: int = 1) -> str:
    if name == "fails":
        raise ValueError
    return name


@app.task(base=UniqueTask, name="tests.once_a_shop", unique_key="{shop}")
def once_a_shop(shop: int, name: str) -> None:
    """Do nothing."""


def test_a_task_that_goes_back_loses_no_retry_and_keeps_its_id(
    run: Run, ended: Counter[tuple[str, str]]
) -> None:
    waits.clear()
    assert run(wait, 5) == ("SUCCESS", 0)
    assert len(set(waits)) == 1
    assert ended["tests.go_back", "RETRY"] == 5


def test_outside_of_a_worker_it_is_an_ordinary_error() -> None:
    waits.clear()
    with pytest.raises(NotNowError):
        wait(5)


def test_a_task_that_cannot_be_sent_again_stays_in_its_queue(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise OSError("the broker is away")

    waits.clear()
    monkeypatch.setattr("celery.canvas.Signature.apply_async", refuse)
    assert run(wait, 1) == ("SUCCESS", 0)
    assert len(waits) == 2


def test_a_task_is_tried_again_when_the_store_is_away(
    run: Run, ended: Counter[tuple[str, str]], redis: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> FakeRedis:
        monkeypatch.setattr(store, "client", lambda: redis)
        raise Away("Error 111 connecting to 127.0.0.1:6379")

    monkeypatch.setattr(store, "client", away)
    assert run(pay_once, "a") == ("SUCCESS", "a")
    assert ended["tests.pay_once", "RETRY"] == 1


def test_without_a_redis_a_task_fails_with_a_line_that_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "client", store.connect)
    state, error = run(pay_once, "a")
    assert state == "FAILURE"
    assert "set APP_STORE_URL" in str(error)


def test_a_unique_task_that_cannot_extend_its_lock_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: object) -> None:
        raise Away("away")

    told: list[str] = []
    monkeypatch.setattr(unique.logger, "warning", lambda text, *args: told.append(text % args))
    monkeypatch.setattr(UniqueTask, "take", away)
    once.before_start("1", ("a",), {})
    assert told == ["Could not extend the lock of a unique task: away"]


def test_a_unique_task_is_not_sent_while_another_one_waits_or_runs() -> None:
    once.take(once.lock_key(("a",), {}), "first")
    assert once.delay("a").id == "first"
    assert once.delay(name="a", amount=1).id == "first"
    assert once.delay("b").id != "first"


def test_a_unique_key_may_be_a_part_of_the_arguments() -> None:
    once_a_shop.take(once_a_shop.lock_key((1, "a"), {}), "first")
    assert once_a_shop.delay(1, "b").id == "first"
    assert once_a_shop.delay(2, "a").id != "first"


@pytest.mark.parametrize(("name", "state"), [("a", "SUCCESS"), ("fails", "FAILURE")])
def test_a_unique_task_that_has_ended_can_be_sent_again(name: str, state: str, run: Run) -> None:
    assert run(once, name).state == state
    assert run(once, name).state == state


def test_the_lock_of_a_task_that_was_killed_or_revoked_is_released() -> None:
    request = SimpleNamespace(id="1", args=("a",), kwargs={})
    place = once.lock_key(("a",), None)
    assert once.take(place, "1") == "1"
    assert once.take(place, "2") == "1"
    unique.revoked(once, request)
    assert once.take(place, "2") == "2"
    unique.failed(once, "2", ("a",), {})
    assert once.take(place, "3") == "3"
    unique.failed(wait, "3", ("a",), {})
    assert once.take(place, "4") == "3"


def test_a_lock_is_released_when_the_task_cannot_be_sent(redis: FakeRedis) -> None:
    with pytest.raises(Exception, match="critcal"):
        once.apply_async(("a",), queue="critcal")
    assert redis.keys() == []
