"""What decorators do, on a Redis in memory; the workers that share it are in tests/integration."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from fakeredis import FakeRedis
from redis.exceptions import RedisError

from my_celery_project.celery import create_app
from my_celery_project.config import (
    ENVIRONMENTS,
    ConfigurationError,
)
from my_celery_project.runtime.errors import (
    PermanentError,
    RateLimitedError,
    TransientError,
)
from my_celery_project.runtime.guards import (
    cache,
    circuit,
    idempotency,
    lock,
    rates,
)
from my_celery_project.runtime.redis import (
    leases,
    settings,
    store,
)

pytestmark = pytest.mark.usefixtures("redis")

HOUR = timedelta(hours=1)


class Counted:
    """A function that counts its calls, and fails at first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, order: str, amount: int = 1) -> dict[str, int]:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return {order: amount}


def decorated(decorator: Callable[..., Any], counted: Counted) -> Callable[..., Any]:
    """Return a function of its own under a decorator."""

    @decorator
    def pay(order: str, amount: int = 1) -> dict[str, int]:
        return counted(order, amount)

    return pay  # type: ignore[no-any-return]


def test_a_call_with_the_same_key_returns_what_the_first_one_did() -> None:
    counted = Counted()
    pay = decorated(idempotency.idempotent(key="{order}"), counted)
    assert pay("a", 1) == pay("a", 2) == pay(order="a") == {"a": 1}
    assert pay("b") == {"b": 1}
    assert counted.calls == 2


def test_without_a_key_all_arguments_are_the_key() -> None:
    counted = Counted()
    pay = decorated(idempotency.idempotent(), counted)
    assert pay("a") == pay("a", 1) == pay(amount=1, order="a")
    assert pay("a", 2) == {"a": 2}
    assert counted.calls == 2


def test_a_key_may_be_a_function_of_the_arguments() -> None:
    counted = Counted()
    pay = decorated(idempotency.idempotent(key=lambda order, amount: order.lower()), counted)
    assert pay("A") == pay("a", 5) == {"A": 1}


def test_an_outcome_expires(redis: FakeRedis) -> None:
    counted = Counted()
    pay = decorated(idempotency.idempotent(expires=timedelta(milliseconds=50)), counted)
    pay("a")
    time.sleep(0.1)
    pay("a")
    assert counted.calls == 2
    time.sleep(0.1)
    assert redis.keys() == []


def test_a_failure_gives_the_claim_up() -> None:
    counted = Counted(TransientError("once"))
    pay = decorated(idempotency.idempotent(), counted)
    with pytest.raises(TransientError, match="once"):
        pay("a")
    assert pay("a") == {"a": 1}


def test_a_call_at_the_same_time_waits_about_as_long_as_the_first_one_has_taken() -> None:
    pay: Callable[..., Any]

    def inside(order: str) -> None:
        with pytest.raises(idempotency.InProgressError) as error:
            pay(order)
        assert 0.5 <= (error.value.retry_after or 0) <= 2

    pay = idempotency.idempotent()(inside)
    pay("a")


@pytest.mark.parametrize("look", [True, False])
def test_a_holder_that_stood_still_has_no_effect(look: bool, redis: FakeRedis) -> None:
    effects = []

    def inside(order: str) -> None:
        redis.flushall()  # the lease has run out
        if look:
            idempotency.still_mine()
        effects.append(order)

    with pytest.raises(idempotency.LostError):
        idempotency.idempotent()(inside)("a")
    assert effects == ([] if look else ["a"])


def test_a_claim_is_renewed_while_a_call_runs(redis: FakeRedis) -> None:
    def inside(order: str) -> None:
        time.sleep(1.5)
        idempotency.still_mine()

    idempotency.idempotent(lease=1)(inside)("a")


def test_arguments_are_still_checked_by_the_signature() -> None:
    pay = decorated(idempotency.idempotent(key="{order}"), Counted())
    with pytest.raises(TypeError, match="order"):
        pay()


def test_a_lock_admits_one() -> None:
    with lock.lock("a") as first:
        first.check()
        with pytest.raises(lock.LockedError), lock.lock("a"):
            pytest.fail("two are inside")
    with lock.lock("a") as second:
        assert second.fence > first.fence


def test_a_fence_never_goes_back_and_leaves_one_key(redis: FakeRedis) -> None:
    redis.set(store.key("fence", "order-0"), 7)  # of an older version
    fences = []
    for name in ("order-0", "order-1", "order-2", "order-0"):
        with lock.lock(name) as held:
            fences.append(held.fence)
    assert fences == sorted({*fences, 8})[1:]
    assert redis.keys() == [store.key("fence").encode()]
    redis.flushall()  # a Redis that was lost; a second later at the latest the clock is ahead
    assert redis.set(store.key("fence"), fences[-1] + 5)
    with lock.lock("order-0") as held:
        assert held.fence == fences[-1] + 6


def test_a_fence_is_above_any_counter_of_an_older_version(redis: FakeRedis) -> None:
    redis.set(store.key("fence", "busy"), 2**40)
    with lock.lock("busy") as first, lock.lock("other") as second:
        assert 2**40 < first.fence < second.fence


def test_a_lock_that_was_lost_is_an_error(redis: FakeRedis) -> None:
    with pytest.raises(idempotency.LostError), lock.lock("a"):
        redis.flushall()
    with lock.lock("a") as held:
        redis.set(held.lock.name, "another's")
        with pytest.raises(idempotency.LostError):
            held.check()
        redis.set(held.lock.name, held.lock.local.token)


def test_a_lock_is_renewed() -> None:
    with lock.lock("a", lease=1) as held:
        time.sleep(1.5)
        held.check()


def test_a_renewal_that_fails_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[object] = [RedisError("away"), True, False]
    asked = threading.Semaphore(0)

    def renew() -> object:
        asked.release()
        answer = answers.pop(0)
        if isinstance(answer, RedisError):
            raise answer
        return answer

    told: list[str] = []
    monkeypatch.setattr(leases.logger, "warning", lambda text, *args: told.append(text % args))
    with leases.renewed(renew, 0.03):
        assert all(asked.acquire(timeout=10) for _ in range(3))
        time.sleep(0.1)  # a fourth time would be an error
    assert told == ["Could not renew a lease: away"]
    assert answers == []


def test_values_are_computed_once_until_they_expire() -> None:
    counted = Counted()
    pay = decorated(cache.cached(timedelta(seconds=1)), counted)
    assert pay("a") == pay("a") == {"a": 1}
    assert counted.calls == 1
    time.sleep(1.1)
    pay("a")
    assert counted.calls == 2


def test_one_of_many_calls_at_once_computes_the_value() -> None:
    counted = Counted()

    def slow(order: str) -> dict[str, int]:
        time.sleep(0.3)
        return counted(order)

    pay = cache.cached(HOUR)(slow)
    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(pay, ["a"] * 5)) == [{"a": 1}] * 5
    assert counted.calls == 1


@pytest.mark.parametrize("error", [TransientError("down"), circuit.CircuitOpenError("open", 1)])
def test_a_second_service_answers_for_the_first(error: Exception) -> None:
    first, second = Counted(error), Counted()
    pay = decorated(cache.fallback(second), first)
    assert pay("a", 3) == {"a": 3}
    assert pay("a", 4) == {"a": 4}
    assert (first.calls, second.calls) == (2, 1)


def test_a_final_error_asks_no_second_service() -> None:
    with pytest.raises(PermanentError):
        decorated(cache.fallback(Counted()), Counted(PermanentError("no")))("a")


def test_starts_are_spaced_and_those_too_far_away_are_sent_back_in_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "TOLERANCE", 1)  # this test may stand still for a moment
    before = time.monotonic()
    for _ in range(4):
        rates.take("a", "20/s")
    assert 0.14 < time.monotonic() - before < 2
    rates.take("b", "1/s")
    waits = []
    for _ in range(3):
        with pytest.raises(rates.OverLimitError) as error:
            rates.take("b", "1/s")
        waits.append(error.value.retry_after or 0)
    assert [round(wait) for wait in waits] == [1, 2, 3]


def test_a_process_that_stood_still_takes_new_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    def oversleep(seconds: float) -> None:
        sleep(seconds + rates.TOLERANCE)

    sleep, before = time.sleep, time.monotonic()
    monkeypatch.setattr(time, "sleep", oversleep)
    with pytest.raises(rates.OverLimitError, match="missed its slots"):
        rates.take("a", "10/s")
    assert 0.2 < time.monotonic() - before < 5


def test_a_limit_may_be_one_for_each_customer() -> None:
    pay = decorated(rates.limited("1/m", key="{order}"), counted := Counted())
    assert pay("a") == {"a": 1}
    assert pay("b") == {"b": 1}
    with pytest.raises(rates.OverLimitError, match="1/m"):
        pay("a", 2)
    assert counted.calls == 2


def test_a_burst_may_start_at_once_after_a_pause() -> None:
    for _ in range(5):
        rates.take("a", "1/m", burst=5)
    with pytest.raises(rates.OverLimitError):
        rates.take("a", "1/m", burst=5)


@pytest.mark.parametrize("rate", ["", "50", "50/d", "0/s", "-1/s", "a/s"])
def test_what_is_no_rate_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="/s, /m or /h"):
        rates.limited(rate)


def test_a_circuit_opens_after_failures_in_a_row_and_closes_after_a_success(
    redis: FakeRedis,
) -> None:
    def wait() -> None:
        (opened_at,) = redis.scan_iter("*:opened_at")
        redis.decrby(opened_at, 60)

    counted = Counted(*[TransientError("down")] * 3)
    server = circuit.Circuit("a", failures=2, pause=60)
    for _ in range(2):
        with pytest.raises(TransientError, match="down"):
            server.call(counted, "a")
    with pytest.raises(circuit.CircuitOpenError) as error:
        server.call(counted, "a")
    assert 30 <= (error.value.retry_after or 0) <= 72
    assert counted.calls == 2
    wait()
    with pytest.raises(TransientError, match="down"):
        server.call(counted, "a")
    with pytest.raises(circuit.CircuitOpenError):
        server.call(counted, "a")
    wait()
    assert server.call(counted, "a") == {"a": 1}
    assert server.call(counted, "b") == {"b": 1}


def test_one_call_tries_whether_a_server_is_back(
    redis: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(current_app.conf, "task_time_limit", 6.5)
    server = circuit.Circuit("a", failures=1, pause=0)

    def inside(order: str) -> None:
        assert 0 < redis.ttl(server.trial_key) <= 7  # no call lasts longer
        with pytest.raises(circuit.CircuitOpenError):
            server.call(Counted(), "a")

    with pytest.raises(TransientError):
        server.call(Counted(TransientError("down")), "a")
    server.call(inside, "a")
    assert server.call(Counted(), "a") == {"a": 1}


@pytest.mark.parametrize("error", [PermanentError("404"), RateLimitedError("429", 1), ValueError()])
def test_a_server_that_answers_opens_no_circuit(error: Exception) -> None:
    server = circuit.Circuit("a", failures=1)
    for _ in range(3):
        with pytest.raises(type(error)):
            server.call(Counted(error), "a")


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the settings of the store at each call."""
    monkeypatch.setattr(settings, "load", settings.load.__wrapped__)


def test_the_store_is_where_a_redis_is(unread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.url() == ""  # tests have none
    with pytest.raises(store.NoStoreError, match="APP_STORE_URL"):
        store.connect()
    monkeypatch.setenv("APP_STORE_URL", "redis://127.0.0.1:1/5")
    assert store.url() == "redis://127.0.0.1:1/5"
    assert store.connect().connection_pool.connection_kwargs["db"] == 5


@pytest.mark.parametrize("environment", ["staging", "production"])
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rediss://:s3cr3t@redis.internal/0", "ssl_cert_reqs"),
        ("redis://:changeme@redis.internal/0", "well-known default"),
        ("https://:s3cr3t@redis.internal/0", "begins with redis://"),
        ("sentinel://:s3cr3t@redis.internal/0", "APP_STORE_MASTER_NAME is not set"),
    ],
)
def test_a_wrong_store_is_refused_at_start(
    environment: str, url: str, expected: str, unread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", environment)
    monkeypatch.setenv("APP_STORE_URL", url)
    with pytest.raises(ConfigurationError, match=expected) as error:
        create_app(ENVIRONMENTS["testing"].model_validate({}))
    assert "s3cr3t" not in str(error.value)
    assert "\n" not in str(error.value)
