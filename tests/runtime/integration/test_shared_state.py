"""What workers share: keys, locks, limits, circuits. Always two workers, on a real Redis."""

import re
import uuid
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from integration.guarded import PAUSE, RATE
from redis import Redis

from my_celery_project.runtime import guards  # noqa: F401 - what this is about
from my_celery_project.runtime.testing import Project
from my_celery_project.runtime.testing.fleet import Fleet, open_fleet
from my_celery_project.runtime.testing.servers import wait_until

pytestmark = pytest.mark.integration

Effects = Callable[[str], list[float]]


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def redis(urls: dict[str, str]) -> Iterator[Any]:
    url = urls["broker_url"] if urls["broker_url"].startswith("redis") else urls["result_backend"]
    with Redis.from_url(url) as client:
        yield client


@pytest.fixture
def effects(redis: Any, name: str) -> Iterator[Effects]:
    """Yield a function that returns the times of the effects of a kind."""

    def times(kind: str) -> list[float]:
        return [float(row.split()[1]) for row in redis.lrange(f"test-effects:{kind}:{name}", 0, -1)]

    yield times
    for key in redis.scan_iter(f"*{name}*"):
        redis.delete(key)


@pytest.fixture(scope="module")
def two(
    project: Project, urls: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """Yield two workers that know the tasks of guarded.py."""
    folder, modules = tmp_path_factory.mktemp("two"), Path(__file__).parent
    with open_fleet(project, urls, folder, modules) as fleet:
        fleet.start_with("guarded", "one", "two")
        yield fleet


def test_500_calls_with_the_same_key_have_one_effect(
    two: Fleet, effects: Effects, name: str
) -> None:
    for _ in range(500):
        two.send("tests.pay", name, 5)
    wait_until(lambda: len(two.succeeded("tests.pay")) == 500, 120)
    assert len(effects("begun")) == len(effects("paid")) == 1
    assert all(two.succeeded("tests.pay", worker) for worker in two.processes)
    assert not re.search(r"tests\.pay\[.+\] failed", two.log())


def test_a_lock_admits_one_at_a_time_and_is_renewed(
    two: Fleet, effects: Effects, name: str
) -> None:
    for _ in range(3):
        two.send("tests.alone", name, 3)
    wait_until(lambda: len(two.succeeded("tests.alone")) == 3, 60)
    inside = list(zip(effects("in"), effects("out"), strict=True))
    assert len(inside) == 3
    for (_, left), (entered, _) in pairwise(inside):
        assert left <= entered


def test_two_workers_together_stay_below_the_limit_of_the_fleet(
    two: Fleet, effects: Effects, name: str
) -> None:
    for _ in range(RATE * 5):
        two.send("tests.limited", name)
    wait_until(lambda: len(effects("started")) == RATE * 5, 120)
    assert all(two.succeeded("tests.limited", worker) for worker in two.processes)
    times = sorted(effects("started"))
    # A start is noted some milliseconds after it was allowed, the first one perhaps later.
    assert max(sum(first <= other < first + 0.95 for other in times) for first in times) <= RATE
    assert times[-1] - times[0] > 4
    assert not re.search(r"tests\.limited\[.+\] failed", two.log())


def test_a_circuit_that_one_worker_opens_is_open_in_the_other(
    two: Fleet, effects: Effects, redis: Any, name: str
) -> None:
    two.send("tests.call", name)  # it and its retries call one after the other
    wait_until(lambda: "CircuitOpenError" in two.log())
    assert len(effects("called")) >= 3
    for _ in range(11):
        two.send("tests.call", name)
    wait_until(lambda: all("CircuitOpenError" in two.log(worker) for worker in two.processes))
    wait_until(lambda: len(effects("called")) >= 5)
    tries = effects("called")[2:]
    assert all(after - before > PAUSE / 2 for before, after in pairwise(tries))  # one at a time
    redis.set(f"test-effects:well:{name}", 1)
    wait_until(lambda: len(effects("served")) == 12, 60)


def test_a_unique_task_is_sent_once_until_it_has_ended(
    two: Fleet, effects: Effects, redis: Any, name: str
) -> None:
    def sent() -> list[str]:
        rows = redis.lrange(f"test-effects:sent:{name}", 0, -1)
        return [row.decode().split()[0] for row in rows]

    for _ in range(4):
        two.send("tests.send_reindex", name, 2)
    wait_until(lambda: len(sent()) == 4 and effects("reindexed"))
    assert len(set(sent())) == 1
    wait_until(lambda: two.succeeded("tests.reindex"))
    assert len(effects("reindexed")) == 1
    two.send("tests.send_reindex", name)
    wait_until(lambda: len(effects("reindexed")) == 2)
    wait_until(lambda: len(set(sent())) == 2)  # which is noted after it was sent
