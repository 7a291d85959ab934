"""Coroutines, run by the tasks of a real worker."""

import asyncio
import signal
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from my_celery_project.celery import app
from my_celery_project.runtime import (
    aio,
    budget,
    context,
)
from my_celery_project.runtime.worker import pools

CLEANED: list[str] = []
LOOPS: list[tuple[int, str]] = []
MET = asyncio.Event()


async def wait(name: str) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.05)
        CLEANED.append(name)


async def meet(met: asyncio.Event) -> None:
    LOOPS.append((id(asyncio.get_running_loop()), threading.current_thread().name))
    if len(LOOPS) == 2:
        met.set()
    await met.wait()


async def look() -> list[str | None]:
    return list(context.current())


async def nest() -> None:
    aio.run(look())


@app.task(name="tests.meet")
def run_meet() -> None:
    aio.run(meet(MET), timeout=20)


@app.task(name="tests.look")
def run_look() -> list[str | None]:
    return aio.run(look())


@app.task(name="tests.wait", max_retries=0)
def run_wait(name: str) -> None:
    aio.run(wait(name), timeout=1)


@app.task(name="tests.own_limits", soft_time_limit=1, time_limit=9)
def run_own_limits() -> list[float]:
    try:
        aio.run(wait("own"))
    except TimeoutError:
        return list(budget.in_force())
    return []


def test_without_a_timeout_the_soft_limit_of_the_task_holds(run: Callable[..., Any]) -> None:
    assert run(run_own_limits) == ("SUCCESS", [1, 9])
    sent = run_own_limits.signature(options={"soft_time_limit": 0.2, "time_limit": 8})
    assert run(sent) == ("SUCCESS", [0.2, 8])


def test_tasks_share_a_loop_in_a_thread_of_its_own(run: Callable[..., Any]) -> None:
    run_meet.delay()
    assert run(run_meet).state == "SUCCESS"  # which waits for the other one
    assert len(set(LOOPS)) == 1
    assert LOOPS[0][1] == "asyncio"


def test_a_coroutine_has_the_context_of_its_task(run: Callable[..., Any]) -> None:
    with context.bind("request-7", "acme"):
        assert run(run_look).value == ["request-7", "acme"]
    correlation_id, tenant = run(run_look).value
    assert correlation_id != "request-7"
    assert tenant is None


def test_a_coroutine_that_takes_too_long_is_cancelled(run: Callable[..., Any]) -> None:
    state, error = run(run_wait, "timeout")
    assert (state, type(error)) == ("FAILURE", TimeoutError)
    assert CLEANED[-1] == "timeout"


def test_a_task_that_is_given_up_cancels_its_coroutine() -> None:
    def give_up(*_: object) -> None:  # as Celery does in a process of the prefork pool
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises(SoftTimeLimitExceeded):
            aio.run(wait("given up"))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert CLEANED[-1] == "given up"


def test_closing_cancels_what_runs_and_the_next_use_opens_a_new_loop() -> None:
    assert aio.run(look()) == [None, None]
    loop = aio.loop_thread().loop
    future = asyncio.run_coroutine_threadsafe(wait("closed"), loop)
    aio.run(asyncio.sleep(0.05))
    aio.loop_thread.close()
    assert loop.is_closed()
    assert future.cancelled()
    assert CLEANED[-1] == "closed"
    assert aio.run(look()) == [None, None]


def test_run_in_a_coroutine_is_refused() -> None:
    with pytest.raises(RuntimeError, match="use await instead"):
        aio.run(nest())


@pytest.mark.parametrize("pool", pools.GREENLET_POOLS)
def test_a_greenlet_pool_is_refused(pool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, pool, types.ModuleType(pool))
    monkeypatch.setattr(pools, "is_patched", lambda name: name == pool)
    with pytest.raises(RuntimeError, match=f"cannot run under the {pool} pool"):
        aio.run(look())


def test_a_coroutine_function_is_no_task() -> None:
    async def send() -> None:
        """Return nothing."""

    async def rows() -> Any:
        yield 1

    for function in (send, rows):
        with pytest.raises(SystemExit, match=rf"{function.__name__} is `async def`"):
            app.task(name=f"tests.{function.__name__}", lazy=False, shared=False)(function)
        assert f"tests.{function.__name__}" not in app.tasks


def test_a_task_needs_no_base_to_be_checked() -> None:
    assert all(hasattr(type(task), "retry_backoff_max") for task in app.tasks.values())
