"""Mail, through a real SMTP server."""

import socket
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from {{ cookiecutter.package_name }}.settings import settings
from {{ cookiecutter.package_name }}.tasks import notifications


class Inbox:
    """Keep what arrives; refuse addresses at `refused.example`."""

    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if any("refused.example" in address for address in envelope.rcpt_tos):
            return "550 no such user"
        self.mails.append(message_from_bytes(envelope.original_content or b""))
        return "250 OK"


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    handler = Inbox()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    monkeypatch.setenv("APP_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("APP_SMTP_PORT", str(port))
    monkeypatch.setenv("APP_SMTP_STARTTLS", "false")
    settings.cache_clear()
    yield handler
    settings.cache_clear()
    controller.stop()


def test_a_mail_arrives_once_with_the_id_of_its_task(run: Callable[..., Any], inbox: Inbox) -> None:
    outcome = run(notifications.send_mail, "ann@example.com", "Grüße", "Straße\n")
    assert outcome.state == "SUCCESS"
    (mail,) = inbox.mails
    assert mail["To"] == "ann@example.com"
    assert str(mail["Message-ID"]).endswith("@example.com>")


@pytest.mark.parametrize(
    "task", [notifications.send_verification, notifications.send_password_reset]
)
def test_a_link_is_mailed(task: Any, run: Callable[..., Any], inbox: Inbox) -> None:
    assert run(task, "ann@example.com", "https://example.com/t/1").state == "SUCCESS"
    assert "https://example.com/t/1" in str(inbox.mails[0].get_payload())


def test_bulk_mail_goes_to_each_address_once(run: Callable[..., Any], inbox: Inbox) -> None:
    recipients = ["ann@example.com", "bob@example.com", "ann@example.com"]
    assert run(notifications.send_bulk, recipients, "News", "...") == ("SUCCESS", 2)
    deadline = time.monotonic() + 10
    while len(inbox.mails) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(mail["To"] for mail in inbox.mails) == ["ann@example.com", "bob@example.com"]


def test_a_refused_address_fails_at_once(run: Callable[..., Any], inbox: Inbox) -> None:
    state, error = run(notifications.send_mail, "ann@refused.example", "Hello", "...")
    assert (state, type(error).__name__) == ("FAILURE", "PermanentError")


def test_a_newline_in_a_header_fails_at_once(run: Callable[..., Any], inbox: Inbox) -> None:
    state, error = run(notifications.send_mail, "ann@example.com", "a\nBcc: all@example.com", "")
    assert (state, type(error).__name__) == ("FAILURE", "PermanentError")
    assert inbox.mails == []


def test_without_a_server_mail_is_a_file(run: Callable[..., Any]) -> None:
    assert run(notifications.send_mail, "ann@example.com", "Hello", "...").state == "SUCCESS"
    (file,) = Path(".celery/outbox").glob("*.eml")
    assert b"Subject: Hello" in file.read_bytes()
