"""What the answers of other servers mean for a task."""

import smtplib
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from my_celery_project.runtime import answers
from my_celery_project.runtime.errors import TransientError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (smtplib.SMTPDataError(451, b"later"), "TransientError"),
        (smtplib.SMTPDataError(554, b"spam"), "PermanentError"),
        (smtplib.SMTPRecipientsRefused({"a@b.example": (450, b"greylisted")}), "TransientError"),
        (smtplib.SMTPServerDisconnected("gone"), "TransientError"),
    ],
)
def test_smtp_says_whether_to_try_again(error: smtplib.SMTPException, expected: str) -> None:
    assert type(answers.from_smtp(error)).__name__ == expected


def test_a_server_that_cannot_be_reached_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    with pytest.raises(TransientError, match=f"POST {url}: "), answers.calling(f"POST {url}"):
        httpx.post(url)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("120", 120, 120),
        (format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 3000, 3600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, low: float, high: float) -> None:
    assert low <= (answers.retry_after(header) or 0) <= high


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "1.5"])
def test_a_broken_retry_after_is_ignored(header: str | None) -> None:
    assert answers.retry_after(header) is None
