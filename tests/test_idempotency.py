"""Two workers that share keys, limits and circuits: one effect, whatever happens to either."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from conftest import Running
from servers import PATIENCE, Fleet, Place, settled
from variants import FULL, Answers, each

#: Redis for everything under each kind of pool, and RabbitMQ with a Redis for results.
VARIANTS: list[Answers] = [
    {"pool": "prefork"},
    {"pool": "threads"},
    {"pool": "gevent"},
    {"broker": "rabbitmq", "result_backend": "redis"},
]

WORKERS = ("one", "two")
SHORT_LEASE = {
    "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "5",
    "CELERY_BROKER_TRANSPORT_OPTIONS__UNACKED_RESTORE_INTERVAL": "0.5",
}
#: Of the claims in probe/once.py, and the rate there.
LEASE = 4
RATE = 50
#: How long a worker is frozen, in seconds.
FROZEN = 120 if FULL else 20

Two = Callable[..., AbstractContextManager[Fleet]]

each_variant = each(VARIANTS)
#: For what does not depend on the pool.
each_store = each([VARIANTS[0], VARIANTS[-1]])


@pytest.fixture
def two(running: Running) -> Two:
    """Return a function that runs two workers, general ones by default, with the tasks of probe/once.py."""

    @contextmanager
    def run(answers: Answers, kind: str = "general", **variables: str) -> Iterator[Fleet]:
        on_rabbitmq = answers.get("broker") == "rabbitmq"
        lease = {"CELERY_BROKER_HEARTBEAT": "5"} if on_rabbitmq else SHORT_LEASE
        with running(answers, place=Place(), CELERY_WORKER_INCLUDE="probe,once", **lease, **variables) as fleet:
            line = fleet.project.lines[kind].replace(f"--hostname {kind}@", "--hostname $NAME@")
            fleet.start(*WORKERS, line=line)
            yield fleet

    return run


def ended(fleet: Fleet, task: str) -> int:
    """Return how many tasks have succeeded."""
    return len(fleet.seen(event="end", task=task, state="SUCCESS"))


@each_variant
def test_500_calls_with_the_same_key_have_one_effect(answers: Answers, two: Two) -> None:
    with two(answers) as fleet:
        fleet.ask("send_many", 500, "once.pay", ["a", 3], {}, {"ignore_result": True})
        fleet.wait(lambda: ended(fleet, "once.pay") == 500, "all calls end", 2 * PATIENCE)
        assert len(fleet.seen(event="begun")) == len(fleet.seen(event="paid")) == 1
        assert {entry["worker"] for entry in fleet.seen(event="end", task="once.pay")} == set(WORKERS)
        assert not fleet.seen(event="end", state="FAILURE")


def holder(fleet: Fleet) -> tuple[str, str]:
    """Let a worker hold a claim; return its name and the other's."""
    fleet.send("once.pay", "a", 2)
    fleet.wait(lambda: fleet.seen(event="begun"), "the call runs")
    (start,) = fleet.seen(event="start", task="once.pay")
    (other,) = set(WORKERS) - {start["worker"]}
    return start["worker"], other


@each_variant
def test_a_frozen_holder_has_no_effect_when_it_wakes_up(answers: Answers, two: Two) -> None:
    with two(answers) as fleet:
        frozen, other = holder(fleet)
        os.killpg(fleet.processes[frozen].pid, signal.SIGSTOP)
        frozen_at = time.monotonic()
        try:
            fleet.wait(lambda: fleet.seen(event="paid"), "the other worker takes over")
            time.sleep(max(0, frozen_at + FROZEN - time.monotonic()))
        finally:
            os.killpg(fleet.processes[frozen].pid, signal.SIGCONT)
        fleet.wait(lambda: "no longer holds the claim" in fleet.log(frozen), "the frozen one sees that it is late")
        fleet.wait(lambda: fleet.seen(event="end", task="once.pay", state="SUCCESS", worker=other), "it ends")
        time.sleep(LEASE)  # a second effect would have happened by then
        assert len(fleet.seen(event="paid")) == 1


@each_store
def test_a_claim_of_a_killed_worker_is_taken_over(answers: Answers, two: Two) -> None:
    with two(answers) as fleet:
        killed, other = holder(fleet)
        fleet.kill(killed)
        fleet.wait(lambda: fleet.seen(event="paid"), "the other worker takes over")
        fleet.wait(lambda: fleet.seen(event="end", task="once.pay", state="SUCCESS", worker=other), "it ends")
        assert len(fleet.seen(event="paid")) == 1


@each_variant
def test_a_claim_outlasts_its_lease_while_its_task_runs(answers: Answers, two: Two) -> None:
    with two(answers) as fleet:
        fleet.ask("send_many", 4, "once.pay", ["a", 3 * LEASE], {}, {"ignore_result": True})
        fleet.wait(lambda: ended(fleet, "once.pay") == 4, "all calls end")
        assert len(fleet.seen(event="begun")) == 1


@each_variant
def test_two_workers_stay_below_the_limit_of_the_fleet(answers: Answers, two: Two) -> None:
    with two(answers) as fleet:
        fleet.ask("send_many", 400, "once.begin", [], {}, {"ignore_result": True})
        fleet.wait(lambda: len(fleet.seen(event="allowed")) == 400, "all of them start", 2 * PATIENCE)
        assert {entry["worker"] for entry in fleet.seen(event="end", task="once.begin")} == set(WORKERS)
        times = sorted(entry["time"] for entry in fleet.seen(event="allowed"))
        # It is recorded some milliseconds after it was allowed, the first one perhaps later.
        most = max(sum(first <= other < first + 0.95 for other in times) for first in times)
        # On a busy machine later than others; two workers that do not share the limit start twice as many.
        assert most < 1.5 * RATE, f"{most} in a second"
        assert not fleet.seen(event="end", state="FAILURE")


@each_store
def test_a_circuit_is_open_for_both_workers(answers: Answers, two: Two) -> None:
    with two(answers) as fleet:
        fleet.ask("send_many", 40, "once.fail", [], {}, {"ignore_result": True})
        for name in WORKERS:
            fleet.wait(lambda name=name: "CircuitOpenError" in fleet.log(name), f"{name} sees it open")  # type: ignore[misc]
        assert settled(lambda: len(fleet.seen(event="called"))) < 40  # although all are tried again each second
        assert not fleet.seen(event="end", state="FAILURE")


@each_store
def test_the_lock_of_a_unique_task_outlives_its_process_and_ends_with_its_last_try(answers: Answers, two: Two) -> None:
    with two(answers) as fleet:

        def send(lethal: bool) -> str:
            number = len(fleet.seen(event="sent"))
            fleet.send("once.send_rebuild", "a", lethal)
            fleet.wait(lambda: len(fleet.seen(event="sent")) > number, "it is sent")
            return str(fleet.seen(event="sent")[number]["id"])

        first = send(True)
        fleet.wait(lambda: fleet.seen(event="rebuilt"), "it runs, and its process dies")
        assert send(False) == first  # while it waits for its second try
        fleet.wait(lambda: len(fleet.seen(event="rebuilt", lethal=True)) == 2, "it is tried again")
        fleet.wait(lambda: send(False) != first, "it is free")
        fleet.wait(lambda: fleet.seen(event="rebuilt", lethal=False), "the next one runs")
        assert len(fleet.seen(event="rebuilt", lethal=True)) == 2


class Shop:
    """The services of a shop, which recognise a repeated call by its key, and can be frozen."""

    def __init__(self, server: HTTPServer) -> None:
        self.calls: list[str] = []
        self.effects: set[str] = set()
        self.going_on = threading.Event()
        server.expect_request(re.compile("/.*/7$")).respond_with_handler(self.serve)

    def serve(self, request: Request) -> Response:
        """Have an effect for each key, then stand still in the middle of an order."""
        key = request.headers["Idempotency-Key"]
        self.calls.append(key)
        self.effects.add(key)
        if "charges" in key:
            self.going_on.wait(PATIENCE)
        return Response()


@each_store
def test_an_order_goes_on_when_its_worker_is_killed_in_the_middle(
    answers: Answers, two: Two, httpserver: HTTPServer
) -> None:
    shop = Shop(httpserver)
    gallery: Answers = {**answers, "examples": "all"}
    with two(gallery, "io", IO_CONCURRENCY="2", APP_SHOP_URL=httpserver.url_for("").rstrip("/")) as fleet:
        order = {"id": "7", "email": "ann@example.com", "items": {"tea": 2}, "price": 900}
        fleet.ask("start", "orders.place", order)
        fleet.wait(lambda: "PUT-charges-7" in shop.calls, "it is in the middle")
        (start,) = fleet.seen(event="start", task="orders.charge")
        fleet.kill(start["worker"])
        shop.going_on.set()

        def mails() -> list[str]:
            return [path.read_text("utf-8") for path in fleet.cwd.glob(".celery/outbox/*.eml")]

        fleet.wait(lambda: any("is on its way" in mail for mail in mails()), "the customer is told", 2 * PATIENCE)
        assert len(mails()) == 1
        steps = [f"PUT-{step}-7" for step in ("reservations", "charges", "shipments")]
        assert shop.effects == set(steps)
        assert sorted(shop.calls) == sorted([*steps, "PUT-charges-7"])
