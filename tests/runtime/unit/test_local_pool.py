"""A process without an event loop ends between two messages, never while it holds a lock."""

import signal
import threading
from types import SimpleNamespace
from typing import Any

import billiard
import pytest
from billiard.common import TERM_SIGNAL

from my_celery_project.runtime.worker import (
    local_pool,
)


@pytest.fixture
def signals() -> Any:
    """Collect the signals that would end this process."""
    seen: list[int] = []
    before = signal.signal(TERM_SIGNAL, lambda number, _: seen.append(number))
    yield seen
    signal.signal(TERM_SIGNAL, before)


def tell_to_end() -> None:
    """Send the signal to this thread: another one of the tests would not hold it up."""
    signal.pthread_kill(threading.get_ident(), TERM_SIGNAL)


def test_a_signal_waits_for_the_end_of_a_block(signals: list[int]) -> None:
    with local_pool.uninterrupted():
        tell_to_end()
        assert signals == []
    assert signals == [TERM_SIGNAL]


def test_a_process_receives_a_message_and_gives_the_lock_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local_pool, "PATIENCE", 0.05)
    pipe: Any = billiard.get_context().SimpleQueue()
    worker: Any = object.__new__(local_pool.Worker)
    receive = worker._make_recv_method(pipe)
    assert receive(0) == (False, None)  # nothing is there
    pipe.put(("task", 7))
    with pipe._rlock:  # as if another process reads
        assert receive(0) == (False, None)
    assert receive(0) == (True, ("task", 7))


def test_a_process_sends_a_result_in_one_piece(signals: list[int]) -> None:
    sent: list[object] = []

    def put(result: object) -> None:
        tell_to_end()
        assert signals == []
        sent.append(result)

    worker: Any = object.__new__(local_pool.Worker)
    worker.outq = SimpleNamespace(put=put)
    worker.on_loop_start(1)
    worker.outq.put("result")
    assert (sent, signals) == (["result"], [TERM_SIGNAL])
