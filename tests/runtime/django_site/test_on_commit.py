"""A task is sent when the transaction is committed, and never otherwise."""

import time

import pytest
from django.db import transaction
from django.test import TransactionTestCase

from my_celery_project.celery import app
from my_celery_project.queues import (
    URGENT,
    QueueName,
)
from my_celery_project.runtime import context
from my_celery_project.runtime.django import part  # noqa: F401 - what this is about
from my_celery_project.runtime.tasks.base import (
    BaseTask,
)

RAN: list[tuple[int, str | None]] = []


@app.task(base=BaseTask, bind=True, name="tests.note")
def note(self: BaseTask, value: int) -> int:
    RAN.append((value, context.current().tenant))
    return value


@app.task(base=BaseTask, bind=True, name="tests.find")
def find(self: BaseTask, value: int) -> None:
    RAN.append((value, (self.request.delivery_info or {})["routing_key"]))


@pytest.mark.usefixtures("worker")
class OnCommitTest(TransactionTestCase):
    """Real transactions, which TestCase would never commit."""

    def setUp(self) -> None:
        RAN.clear()

    def assert_ran(self, *expected: tuple[int, str | None]) -> None:
        """Wait until as many have run as are expected."""
        deadline = time.monotonic() + 10
        while len(RAN) < len(expected) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert list(expected) == RAN

    def test_an_urgent_one_stays_urgent(self) -> None:
        with transaction.atomic():
            find.apply_async_on_commit((1,), headers=URGENT)
        self.assert_ran((1, QueueName.CRITICAL))

    def test_it_is_sent_with_the_commit_and_with_the_context_of_the_call(self) -> None:
        with transaction.atomic():
            with context.bind(tenant="acme"):
                assert note.delay_on_commit(1)
            time.sleep(0.2)
            self.assert_ran()
        self.assert_ran((1, "acme"))

    def test_what_is_rolled_back_is_never_sent(self) -> None:
        with transaction.atomic():
            note.delay_on_commit(1)
            transaction.set_rollback(True)
        with transaction.atomic():
            note.delay_on_commit(2)
        self.assert_ran((2, None))

    def test_outside_of_a_transaction_it_is_sent_at_once(self) -> None:
        task_id = note.apply_async_on_commit([3], task_id="given")
        assert task_id == "given"
        self.assert_ran((3, None))
