{% set keeps_results = cookiecutter._keeps_results[cookiecutter.result_backend] %}
{% set base = "ProgressTask" if keeps_results else "BaseTask" %}
"""Tasks for payments, which show how to use models, transactions and locks in tasks."""

from __future__ import annotations

import csv
from datetime import date, timedelta

from django.db import transaction
from django.utils import timezone

from ..artifacts import artifacts
from ..celery import app
from ..queues import QueueName
from ..runtime.tasks.{{ "progress" if keeps_results else "base" }} import {{ base }}
from ..tasks import notifications
from .models import Account, Payment


@app.task(name="payments.settle")
def settle(payment_id: int) -> str:
    """Settle a payment once, however often this task runs, and return its state.

    The row stays locked until the payment is settled. So if two runs overlap, the second one waits
    and then finds it settled. The account is locked as well, so its other payments wait too.
    """
    with transaction.atomic():
        payment = Payment.objects.select_for_update().get(pk=payment_id)
        if payment.state == Payment.State.PENDING:
            account = Account.objects.select_for_update().get(pk=payment.account_id)
            payment.settle(account)
            text = f"Your payment of {payment.amount / 100:.2f} is {payment.state.lower()}.\n"
            # Sent on commit, so that there is no mail if the transaction is rolled back.
            notifications.send_mail.delay_on_commit(account.email, "Your payment", text)
    return payment.state


@app.task(name="payments.settle_forgotten")
def settle_forgotten(minutes: float = 10) -> int:
    """Send tasks for payments that still wait, since a process may die after its commit."""
    oldest = timezone.now() - timedelta(minutes=minutes)
    forgotten = Payment.objects.filter(state=Payment.State.PENDING, created_at__lt=oldest)
    for payment in forgotten.iterator():
        settle.delay(payment.pk)
    return forgotten.count()


@app.task({{ "base=ProgressTask, " if base == "ProgressTask" }}bind=True, name="payments.report", queue=QueueName.CPU)
def report(self: {{ base }}, since: str) -> str:
    """Write payments into a CSV file, and return the pointer to it.

    Args:
        since: The first day, such as 2026-01-31, in UTC.
    """
    payments = Payment.objects.filter(created_at__date__gte=date.fromisoformat(since))
    columns = ("id", "account__email", "amount", "state", "created_at")
    rows = payments.order_by("id").values_list(*columns).iterator(chunk_size=2000)
    pointer = f"payments/{self.request.id}.csv"
    with artifacts.create(pointer, "w") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows({{ 'self.track(rows, payments.count(), "writing")' if keeps_results else "rows" }})
    return pointer
