"""Tasks that never start twice, and suspects of a crash, in a real worker on a Redis in memory."""

import time
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Ignore, Reject, Retry
from celery.worker import state
from fakeredis import FakeRedis
from redis.exceptions import ConnectionError as Away

from my_celery_project.celery import app
from my_celery_project.runtime.letters.letter import (
    DeadLetter,
)
from my_celery_project.runtime.letters.store import (
    store_of,
)
from my_celery_project.runtime.redis import (
    runs,
    store,
)
from my_celery_project.runtime.runs import (
    CRASHES_HEADER,
    SUSPICIOUS,
    Earlier,
)
from my_celery_project.runtime.tasks import base
from my_celery_project.runtime.worker import request

pytestmark = pytest.mark.usefixtures("redis", "worker")

Ended = Counter[tuple[str, str]]

#: Seconds.
LEASE = 1

CALLS: list[str] = []


@app.task(base=base.AtMostOnceTask, name="tests.at_most_once", bind=True, default_retry_delay=0)
def transfer(self: Any, name: str = "", again: bool = False) -> str:
    CALLS.append(name)
    if again and len(CALLS) == 1:
        raise self.retry(countdown=0, max_retries=1)
    if name == "fails":
        raise ConnectionError("on purpose")
    return name


@app.task(base=base.BaseTask, name="tests.suspect", bind=True)
def suspect(self: Any) -> None:
    """Do nothing."""


@pytest.fixture(autouse=True)
def in_redis(redis: FakeRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "url", lambda: "redis://")
    monkeypatch.setattr(app.runs, "lease", LEASE)
    CALLS.clear()


def started(task_id: str) -> Earlier:
    """Start a run as another worker does."""
    return app.runs.start(SimpleNamespace(id=task_id, delivery_info={}))


def letters() -> list[DeadLetter]:
    """Return all letters."""
    with store_of(app).open() as opened:
        return list(opened)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


def test_a_run_that_has_succeeded_is_not_repeated(ended: Ended) -> None:
    for _ in range(2):
        transfer.apply_async(("a",), task_id="1")
    wait_until(lambda: ended[transfer.name, "IGNORED"])
    assert ended[transfer.name, "SUCCESS"] == 1
    assert CALLS == ["a"]
    assert letters() == []


def test_a_run_that_has_failed_is_not_repeated(ended: Ended) -> None:
    transfer.apply_async(("fails",), task_id="1")
    wait_until(letters)
    store.client().delete(runs.lease("1"))
    transfer.apply_async(("fails",), task_id="1")
    wait_until(lambda: ended[transfer.name, "REJECTED"])
    assert CALLS == ["fails"]
    (letter,) = letters()
    assert (letter.reason, letter.error) == ("failed", "ConnectionError")


def test_a_run_that_goes_on_elsewhere_is_waited_for_and_a_letter_when_it_is_lost(
    ended: Ended,
) -> None:
    assert started("1") == "none"
    transfer.apply_async(("a",), task_id="1")
    wait_until(lambda: ended[transfer.name, "RETRY"])
    assert letters() == []
    wait_until(letters)  # its lease has ended
    (letter,) = letters()
    assert (letter.id, letter.reason, letter.error) == ("1", "worker lost", "RunLostError")
    assert (letter.args, CALLS) == (["a"], [])


def test_a_run_keeps_its_lease(redis: FakeRedis) -> None:
    assert started("1") == "none"
    with app.runs.alive(SimpleNamespace(id="1")):
        redis.expire(runs.lease("1"), 1000)
        wait_until(lambda: redis.ttl(runs.lease("1")) == LEASE)


def test_a_start_whose_answer_was_lost_is_no_earlier_run(
    redis: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = redis.eval
    monkeypatch.setattr(redis, "eval", lambda *args: (evaluate(*args), evaluate(*args))[1])
    assert started("1") == "none"


def test_what_asks_for_a_retry_itself_gets_it() -> None:
    transfer.apply_async(("a", True), task_id="1")
    wait_until(lambda: CALLS == ["a", "a"])


def test_a_run_waits_for_a_store_that_is_away(
    ended: Ended, idle: Callable[[], None], redis: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> FakeRedis:
        monkeypatch.setattr(store, "client", lambda: redis)
        raise Away("Error 111 connecting to 127.0.0.1:6379")

    monkeypatch.setattr(store, "client", away)
    transfer.apply_async(("a",), task_id="1")
    wait_until(lambda: ended[transfer.name, "SUCCESS"])
    idle()
    assert ended[transfer.name, "RETRY"] == 1
    assert CALLS == ["a"]


def test_outside_of_a_worker_it_is_a_function() -> None:
    assert transfer("a") == transfer("a") == "a"


def start(redelivered: bool, crashes: int, task_id: str = "1") -> str:
    """Return what becomes of a start of a suspect."""
    suspect.push_request(
        id=task_id,
        headers={CRASHES_HEADER: crashes} if crashes else {},
        delivery_info={"redelivered": redelivered, "routing_key": "default"},
        called_directly=False,
    )
    try:
        suspect.before_start(task_id, (), {})
    except (Ignore, Reject, Retry) as end:
        return type(end).__name__
    finally:
        suspect.pop_request()
    return "starts"


@pytest.fixture
def _nothing_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "send_again", lambda _: None)


@pytest.mark.usefixtures("_nothing_sent")
def test_a_start_of_a_suspect_counts_and_a_delivery_does_not(
    redis: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert start(False, 0) == "starts"
    assert start(True, 0) == "starts"  # at once: most are innocent
    assert start(True, 0) == "Ignore"
    assert start(True, 2) == "starts"  # it had only waited in the worker that died
    assert start(True, 2) == "Reject"
    for command in ("exists", "set"):
        monkeypatch.setattr(redis, command, raises)
    assert start(True, 0, "2") == "starts"
    assert start(False, 2, "2") == "starts"
    assert start(True, 2, "2") == "Reject"


def raises(*_: object, **__: object) -> None:
    raise Away("away")


class Running:
    """Stand for the request of another suspect, which runs."""


def test_a_suspect_that_has_killed_its_worker_again_is_counted_and_not_put_back() -> None:
    def waits(redelivered: bool) -> bool:
        info = {"redelivered": redelivered}
        context = SimpleNamespace(
            id="7", retries=0, headers={CRASHES_HEADER: SUSPICIOUS}, delivery_info=info
        )
        suspect: Any = SimpleNamespace(_app=app, _context=context)
        if not redelivered:
            app.runs.judge(context)  # as it does when it starts
        return request.Request.another_suspect_runs(suspect)

    other: Any = Running()
    state.reserved_requests.add(other)
    request.RUNNING_SUSPECTS.add(other)
    try:
        assert waits(redelivered=True)  # it was only prefetched
        assert waits(redelivered=False)
        assert not waits(redelivered=True)
    finally:
        state.reserved_requests.discard(other)
        request.RUNNING_SUSPECTS.discard(other)
