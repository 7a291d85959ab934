{% set base = "ProgressTask" if cookiecutter._keeps_results[cookiecutter.result_backend] else "BaseTask" %}
"""Payments from accounts in the database; each is made once, however often its task runs."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import {{ "select, tuple_" if base == "BaseTask" else "func, select, tuple_" }}

from ..artifacts import artifacts
from ..celery import app
from ..models import Account, Payment
from ..queues import QueueName
from ..runtime.errors import PermanentError
from ..runtime.sql import database, outbox
from ..runtime.tasks.{{ "base" if base == "BaseTask" else "progress" }} import {{ base }}
from . import notifications

#: Rows that are read at once.
PAGE = 1000

COLUMNS = ("key", "account_id", "amount", "made_at")


@app.task(name="payments.charge")
def charge(key: str, account_id: int, amount: int) -> None:
    """Take money from an account, and notify its owner.

    Args:
        key: The payer's name for this payment; a second payment with the same key changes nothing.
        account_id: The id of the account.
        amount: The amount in cents.

    Raises:
        PermanentError: There is no such account, its balance is too low, or the key was used for
            another payment.
    """
    with database.session() as session:
        # A second run waits here until the first has committed, and then finds its payment.
        account = session.get(Account, account_id, with_for_update=True)
        if account is None:
            raise PermanentError(f"there is no account {account_id}")
        if earlier := session.get(Payment, key):
            if (earlier.account_id, earlier.amount) != (account_id, amount):
                raise PermanentError(f"the key {key!r} was used for another payment")
            return
        if not 0 < amount <= account.balance:
            raise PermanentError(f"payment {key!r}: account {account_id} cannot pay {amount} cents")
        account.balance -= amount
        session.add(Payment(key=key, account_id=account_id, amount=amount))
        text = f"{amount / 100:.2f} has been taken from your account.\n"
        outbox.add(session, notifications.send_mail.s(account.email, f"Payment {key}", text))


def made(first: datetime, last: datetime) -> Iterator[Payment]:
    """Yield the payments of a period, with one short transaction for each page."""
    order = Payment.made_at, Payment.key
    after = first, ""
    page: Sequence[Payment] = ()
    while not page or len(page) == PAGE:
        rows = select(Payment).where(tuple_(*order) > after, Payment.made_at < last)
        with database.session() as session:
            page = session.scalars(rows.order_by(*order).limit(PAGE)).all()
        if not page:
            return
        yield from page
        after = page[-1].made_at, page[-1].key


@app.task({{ "base=ProgressTask, " if base == "ProgressTask" }}bind=True, name="payments.export", queue=QueueName.CPU)
def export(self: {{ base }}, since: str, until: str) -> str:
    """Write the payments of a period into a CSV file, and return the pointer to it.

    Args:
        since: The start of the period, in ISO 8601 with an offset from UTC.
        until: The end of the period, which is not included.
    """
    first, last = datetime.fromisoformat(since), datetime.fromisoformat(until)
{% if base == "BaseTask" %}
    payments = made(first, last)
{% else %}
    span = Payment.made_at >= first, Payment.made_at < last
    with database.session() as session:
        total = session.scalar(select(func.count()).select_from(Payment).where(*span)) or 0
    payments = self.track(made(first, last), total, "writing")
{% endif %}
    pointer = f"payments/{self.request.id}.csv"
    with artifacts.create(pointer, "w") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([getattr(payment, name) for name in COLUMNS] for payment in payments)
    return pointer
