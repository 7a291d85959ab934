{% set keeps_results = cookiecutter._keeps_results[cookiecutter.result_backend] %}
{% set base = "ProgressTask" if keeps_results else "BaseTask" %}
"""Payments and mailings: what a model, a transaction and a lock have to do with a task."""

from __future__ import annotations

import csv
import smtplib
from datetime import date, timedelta

from celery.utils.log import get_task_logger
from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.utils import timezone

from .. import artifacts, errors
from ..celery import app
from ..tasks import notifications
from ..tasks.base import BaseTask
{% if keeps_results %}
from ..tasks.progress import ProgressTask
{% endif %}
from .models import Account, Mailing, Payment, Recipient

logger = get_task_logger(__name__)

#: Mails that go over one connection.
CHUNK = 50


@app.task(base=BaseTask, name="payments.settle")
def settle(payment_id: int) -> str:
    """Take the money of a payment once, however often this runs, and return its state.

    The row stays locked until the money is taken, so of two runs at the same time the second one
    waits, and then finds it settled. The account is locked too: its other payments wait.
    """
    with transaction.atomic():
        payment = Payment.objects.select_for_update().get(pk=payment_id)
        if payment.state == Payment.State.PENDING:
            account = Account.objects.select_for_update().get(pk=payment.account_id)
            payment.settle(account)
            text = f"Your payment of {payment.amount / 100:.2f} is {payment.state.lower()}.\n"
            # Not in a transaction that is undone: then there is no mail either.
            notifications.send_mail.delay_on_commit(account.email, "Your payment", text)
    return payment.state


@app.task(base=BaseTask, name="payments.settle_forgotten")
def settle_forgotten(minutes: float = 10) -> int:
    """Send what still waits: a process may die between its commit and the message."""
    oldest = timezone.now() - timedelta(minutes=minutes)
    forgotten = Payment.objects.filter(state=Payment.State.PENDING, created_at__lt=oldest)
    for payment in forgotten.iterator():
        settle.delay(payment.pk)
    return forgotten.count()


@app.task(base={{ base }}, bind=True, name="payments.report")
def report(self: {{ base }}, since: str) -> str:
    """Write payments into a CSV file and return the pointer to it.

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


@app.task(base={{ base }}, bind=True, name="mailings.send")
def send_mailing(self: {{ base }}, mailing_id: int) -> int:
    """Send a mailing to all who have not got it, and return how many that were.

    It may run again, and goes on where it ended: only one mail may go twice.
    """
    mailing = Mailing.objects.get(pk=mailing_id)
    waiting = mailing.recipients.filter(sent_at=None, refused=False)
    sent = 0
{% if keeps_results %}
    total, done = waiting.count(), 0
{% endif %}
    while chunk := list(waiting.order_by("pk")[:CHUNK]):
        sent += send_chunk(mailing, chunk)
{% if keeps_results %}
        done += len(chunk)
        self.progress(done, max(total, done), "sending")
{% endif %}
    return sent


def send_chunk(mailing: Mailing, recipients: list[Recipient]) -> int:
    """Send one mail to each over one connection, and return how many were accepted.

    Raises:
        TransientError: The mail server fails.
        PermanentError: The mail server refuses all of it.
    """
    accepted = 0
    try:
        with get_connection() as connection:
            for recipient in recipients:
                to = [recipient.address]
                mail = EmailMessage(mailing.subject, mailing.text, to=to, connection=connection)
                try:
                    accepted += mail.send()
                    recipient.sent_at = timezone.now()
                except smtplib.SMTPRecipientsRefused as error:
                    logger.warning("recipient %d is refused: %s", recipient.pk, error)
                    recipient.refused = True
                recipient.save(update_fields=["sent_at", "refused"])
    except smtplib.SMTPException as error:
        raise errors.from_smtp(error) from error
    return accepted
