import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from my_celery_project import queues
from my_celery_project.limits import BUDGET
from my_celery_project.runtime import app as base
from my_celery_project.runtime.rabbitmq.app import (
    CONFIRM_TIMEOUT,
    TASK_CONFIRM_TIMEOUT,
    App,
)
from my_celery_project.runtime.rabbitmq.queues import (
    DEAD_LETTERS,
    DELIVERY_LIMIT,
    declaration,
)
from my_celery_project.tasks import heartbeat


@pytest.mark.parametrize("queue", queues.QUEUES)
def test_a_queue_is_replicated_and_keeps_what_it_cannot_deliver(queue: Any) -> None:
    arguments = queue.queue_arguments
    assert arguments["x-queue-type"] == "quorum"
    assert arguments["x-delivery-limit"] == DELIVERY_LIMIT
    assert arguments["x-dead-letter-exchange"] == DEAD_LETTERS
    assert (queue.exchange.type, queue.routing_key) == ("topic", queue.name)


def test_a_classic_queue_has_ten_priorities() -> None:
    bulk: Any = declaration(queues.QueueName.BULK, classic=True)
    assert (bulk.max_priority, bulk.queue_arguments["x-queue-type"]) == (10, "classic")
    assert bulk.queue_arguments["x-dead-letter-exchange"] == DEAD_LETTERS


@pytest.mark.parametrize("naive", [True, False])
@pytest.mark.parametrize("as_text", [True, False])
def test_an_eta_is_a_delay(as_text: bool, naive: bool) -> None:
    eta = datetime.now(UTC) + timedelta(seconds=90)
    if naive:
        eta = eta.replace(tzinfo=None)
    delay = App(set_as_current=False).seconds_until(None, eta.isoformat() if as_text else eta)
    assert 80 < delay <= 90


class Publisher(App):
    """An app that remembers what it did."""

    def __init__(self) -> None:
        super().__init__(set_as_current=False)
        self.done: list[object] = []

    def declare_once(self) -> None:
        self.done.append("declared")


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    def send(self: Publisher, *_: object, **options: Any) -> None:
        self.done.append(options["confirm_timeout"])

    monkeypatch.setattr(base.App, "send_task", send)
    return Publisher()


def test_a_publisher_declares_what_a_delayed_message_needs(publisher: Publisher) -> None:
    publisher.send_task("task")
    publisher.send_task("task", countdown=5)
    assert publisher.done == [CONFIRM_TIMEOUT, "declared", CONFIRM_TIMEOUT]


@pytest.mark.parametrize("is_eager", [False, True])
def test_a_task_that_a_worker_runs_declares_nothing_and_waits_longer(
    publisher: Publisher, is_eager: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = SimpleNamespace(request=SimpleNamespace(is_eager=is_eager))
    monkeypatch.setattr(f"{App.__module__}.get_current_worker_task", lambda: task)
    publisher.send_task("task", countdown=5)
    expected = ["declared", CONFIRM_TIMEOUT] if is_eager else [TASK_CONFIRM_TIMEOUT]
    assert publisher.done == expected


def test_a_short_countdown_is_kept_by_other_brokers(run: Callable[..., Any]) -> None:
    assert run(heartbeat.beat.s().set(countdown=0.1)).state == "SUCCESS"


def test_a_worker_may_hold_a_message_longer_than_tasks_may_take(
    request: pytest.FixtureRequest,
) -> None:
    text = (request.config.rootpath / "deploy" / "rabbitmq.conf").read_text(encoding="utf-8")
    (milliseconds,) = re.findall(r"(?m)^consumer_timeout = (\d+)$", text)
    assert int(milliseconds) >= 3 * 1000 * BUDGET.hard
