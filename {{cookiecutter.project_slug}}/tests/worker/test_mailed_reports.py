import email
import email.policy
import time
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from {{ cookiecutter.package_name }}.artifacts import artifacts
from {{ cookiecutter.package_name }}.settings import settings
from {{ cookiecutter.package_name }}.tasks import notifications
from {{ cookiecutter.package_name }}.workflows import reports

RECIPIENTS = ["ann@example.com", "bad\n@example.com", "bob@example.com"]


@pytest.fixture(autouse=True)
def fresh_settings(empty_folder: None) -> None:
    settings.cache_clear()


def mails(count: int) -> dict[str, EmailMessage]:
    """Wait for mails and return them by recipient."""
    deadline = time.monotonic() + 30
    while len(list(notifications.OUTBOX.glob("*.eml"))) < count:
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)
    time.sleep(0.3)  # one more would have come by then
    files = [file.read_bytes() for file in notifications.OUTBOX.glob("*.eml")]
    found = [email.message_from_bytes(file, policy=email.policy.default) for file in files]
    assert len(found) == count
    return {mail["To"]: mail for mail in found}


def test_a_report_is_made_once_and_mailed_to_each_recipient(
    worker: None, ended: Counter[tuple[str, str]], idle: Callable[[], None]
) -> None:
    artifacts.save("sales.csv", b"region,amount\nwest,1\nwest,2\n")
    reports.mail_report("sales.csv", "region", "amount", RECIPIENTS, "me@example.com").delay()
    for mail in (found := mails(2)).values():
        (attachment,) = mail.iter_attachments()
        assert attachment.get_content_type() == "text/csv"
        assert attachment.get_content().splitlines() == ["region,amount", "west,3"]
    assert sorted(found) == ["ann@example.com", "bob@example.com"]
    idle()
    assert ended["reports.totals", "SUCCESS"] == 1


def test_the_owner_is_told_once_when_a_report_cannot_be_made(
    worker: None, ended: Counter[tuple[str, str]], idle: Callable[[], None]
) -> None:
    reports.mail_report("missing.csv", "region", "amount", RECIPIENTS, "me@example.com").delay()
    (mail,) = mails(1).values()
    assert (mail["To"], mail["Subject"]) == ("me@example.com", "The report failed")
    idle()
    assert ended == {("reports.totals", "FAILURE"): 1, ("report_mails.tell_failure", "SUCCESS"): 1}
