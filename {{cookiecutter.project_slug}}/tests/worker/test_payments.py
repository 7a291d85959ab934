import csv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from {{ cookiecutter.package_name }}.artifacts import artifacts
from {{ cookiecutter.package_name }}.models import (
    Account,
    Payment,
)
from {{ cookiecutter.package_name }}.runtime import errors
from {{ cookiecutter.package_name }}.runtime.sql import database
from {{ cookiecutter.package_name }}.runtime.sql.outbox import (
    OutboxMessage,
)
from {{ cookiecutter.package_name }}.runtime.sql.tasks import (
    relay,
)
from {{ cookiecutter.package_name }}.settings import settings
from {{ cookiecutter.package_name }}.tasks import (
    notifications,
    payments,
)

pytestmark = pytest.mark.usefixtures("tables")


@pytest.fixture
def account(empty_folder: None, tables: None) -> int:
    """Return the number of an account with ten euros."""
    settings.cache_clear()
    with database.session() as session:
        account = Account(email="ann@example.com", balance=1000)
        session.add(account)
    return account.id


def state() -> tuple[int, list[str], int]:
    """Return the balance, the keys of all payments, and how many mails wait."""
    with database.session() as session:
        balance = session.scalars(select(Account.balance)).one()
        keys = session.scalars(select(Payment.key).order_by(Payment.key)).all()
        return balance, list(keys), len(session.scalars(select(OutboxMessage)).all())


def test_a_payment_is_made_once_and_its_mail_is_sent(account: int, run: Callable[..., Any]) -> None:
    for _ in range(2):
        assert run(payments.charge, "order-7", account, 300) == ("SUCCESS", None)
    assert state() == (700, ["order-7"], 1)
    run(relay)
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while not list(notifications.OUTBOX.glob("*.eml")):
        assert datetime.now(UTC) < deadline, "timed out"
    assert state() == (700, ["order-7"], 0)


def test_payments_at_the_same_moment_overdraw_nothing(account: int) -> None:
    def charge(number: int) -> str:
        try:
            payments.charge(f"order-{number % 8}", account, 300)
        except errors.PermanentError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(4) as threads:
        refusals = list(threads.map(charge, range(16)))
    balance, keys, mails = state()
    assert (balance, len(keys), mails) == (100, 3, 3)
    assert sum(not refusal for refusal in refusals) == 6  # each of three twice


@pytest.mark.parametrize(
    ("key", "amount", "text"),
    [
        ("order-7", 200, "was used for another payment"),
        ("order-8", 701, "cannot pay 701"),
        ("order-8", 0, "cannot pay 0"),
        ("order-8", -5, "cannot pay -5"),
    ],
)
def test_what_must_not_be_paid_is_refused(
    key: str, amount: int, text: str, account: int, run: Callable[..., Any]
) -> None:
    run(payments.charge, "order-7", account, 300)
    failed, error = run(payments.charge, key, account, amount)
    assert (failed, type(error)) == ("FAILURE", errors.PermanentError)
    assert text in str(error)
    assert state() == (700, ["order-7"], 1)


def test_an_unknown_account_is_refused(account: int, run: Callable[..., Any]) -> None:
    failed, error = run(payments.charge, "order-7", account + 1, 300)
    assert (failed, str(error)) == ("FAILURE", f"there is no account {account + 1}")


def test_an_export_holds_each_payment_of_its_time_span_once(
    account: int, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "PAGE", 2)
    start = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    with database.session() as session:
        for number in range(7):  # several at the same moment
            moment = start + timedelta(hours=number // 3)
            payment = Payment(key=f"{number}", account_id=account, amount=1, made_at=moment)
            session.add(payment)
    # The same moments, written with another offset.
    span = "2026-03-29T01:30:00+01:00", "2026-03-29T04:30:00+02:00"
    ended, pointer = run(payments.export, *span)
    assert ended == "SUCCESS"
    with artifacts.open_text(pointer) as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert rows[0]["made_at"] == "2026-03-29 00:30:00+00:00"


def test_an_export_of_no_payments_has_no_rows(account: int, run: Callable[..., Any]) -> None:
    ended, pointer = run(payments.export, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")
    assert ended == "SUCCESS"
    with artifacts.open_text(pointer) as file:
        assert len(file.readlines()) == 1
