"""The example: money is taken once, mail is sent once, and nothing for what is rolled back."""

import csv
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection, transaction
from django.utils import timezone

from {{ cookiecutter.package_name }}.artifacts import artifacts
from {{ cookiecutter.package_name }}.payments import models, tasks
from {{ cookiecutter.package_name }}.site import catalog
from {{ cookiecutter.package_name }}.tasks import notifications

pytestmark = pytest.mark.django_db(transaction=True)

State = models.Payment.State


@pytest.fixture
def account() -> models.Account:
    return models.Account.objects.create(email="ada@example.com", balance=1000)


def pay(account: models.Account, amount: int) -> models.Payment:
    """Make a payment that nothing has started."""
    with patch.object(tasks.settle, "delay_on_commit"):
        return models.Payment.objects.create(account=account, amount=amount)


def test_a_saved_payment_is_settled_after_the_commit(
    run: Callable[..., Any], account: models.Account, ended: Counter[tuple[str, str]]
) -> None:
    with transaction.atomic():
        payment = models.Payment.objects.create(account=account, amount=300)
    assert run(tasks.settle, payment.pk) == ("SUCCESS", State.PAID)
    with transaction.atomic():
        models.Payment.objects.create(account=account, amount=100)
        transaction.set_rollback(True)
    account.refresh_from_db()
    assert account.balance == 700
    assert set(models.Payment.objects.values_list("pk", flat=True)) == {payment.pk}


def test_a_payment_is_settled_once_however_often_it_runs(account: models.Account) -> None:
    payments = [pay(account, 300) for _ in range(5)]

    def settle(payment: models.Payment) -> None:
        try:
            tasks.settle(payment.pk)
        finally:
            connection.close()

    sent = patch.object(notifications.send_mail, "delay_on_commit")
    with sent as send, ThreadPoolExecutor(8) as threads:
        list(threads.map(settle, payments * 5))
    account.refresh_from_db()
    states = Counter(models.Payment.objects.values_list("state", flat=True))
    assert (account.balance, states) == (100, {State.PAID: 3, State.DECLINED: 2})
    assert send.call_count == len(payments)


def test_a_forgotten_payment_is_sent_again(account: models.Account) -> None:
    old, _ = pay(account, 1), pay(account, 1)
    created = timezone.now() - timedelta(minutes=11)
    models.Payment.objects.filter(pk=old.pk).update(created_at=created)
    with patch.object(tasks.settle, "delay") as sent:
        assert tasks.settle_forgotten() == 1
    sent.assert_called_once_with(old.pk)


def test_a_report_has_a_line_for_each_payment(
    run: Callable[..., Any], account: models.Account
) -> None:
    old, new = pay(account, 1), pay(account, 2)
    created = timezone.now() - timedelta(days=2)
    models.Payment.objects.filter(pk=old.pk).update(created_at=created)
    arguments = catalog.PaymentReport(since=timezone.now().date()).model_dump(mode="json")
    state, pointer = run(tasks.report, **arguments)
    assert state == "SUCCESS"
    with artifacts.open_text(pointer) as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["amount"]) for row in rows] == [(str(new.pk), "2")]
