"""Mail."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

from celery import current_task
from celery.utils.log import get_task_logger

from ..celery import app
from ..queues import CRITICAL, Priority, QueueName
from ..runtime import answers
from ..runtime.errors import PermanentError
from ..settings import settings

logger = get_task_logger(__name__)

OUTBOX = Path(".celery/outbox")


def compose(to: str, subject: str, text: str) -> EmailMessage:
    """Return an e-mail.

    Its id is that of the task, so that a mail server can drop a copy if the task runs twice.

    Raises:
        PermanentError: A header would be invalid, for example with a newline in the subject.
    """
    message = EmailMessage()
    try:
        message["To"], message["Subject"] = to, subject
        message["From"] = sender = settings().mail_from
    except ValueError as error:
        raise PermanentError(f"the mail has an invalid header: {error}") from error
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{current_task.request.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def deliver(message: EmailMessage) -> None:
    """Send an e-mail to the SMTP server, or write it to a file if none is configured."""
    config = settings()
    if not config.smtp_host:
        OUTBOX.mkdir(parents=True, exist_ok=True)
        (OUTBOX / f"{current_task.request.id}.eml").write_bytes(bytes(message))
        return
    try:
        with smtplib.SMTP(config.smtp_host, config.smtp_port, timeout=config.smtp_timeout) as smtp:
            if config.smtp_starttls:
                smtp.starttls()
            if config.smtp_username:
                smtp.login(config.smtp_username, config.smtp_password.get_secret_value())
            smtp.send_message(message)
    except smtplib.SMTPException as error:
        raise answers.from_smtp(error) from error


@app.task(name="notifications.send_mail", queue=QueueName.IO)
def send_mail(to: str, subject: str, text: str) -> None:
    """Send an e-mail."""
    deliver(compose(to, subject, text))
    logger.info("Sent a mail")


@app.task(name="notifications.send_verification", **CRITICAL)
def send_verification(to: str, link: str) -> None:
    """Ask a new user to confirm their address."""
    deliver(compose(to, "Confirm your address", f"Open this link to confirm:\n\n{link}\n"))


@app.task(name="notifications.send_password_reset", **CRITICAL)
def send_password_reset(to: str, link: str) -> None:
    """Send a link for choosing a new password."""
    text = f"Open this link to choose a new password:\n\n{link}\n\nNot you? Ignore this mail.\n"
    deliver(compose(to, "Choose a new password", text))


@app.task(name="notifications.send_bulk", queue=QueueName.BULK, priority=Priority.LOW)
def send_bulk(recipients: list[str], subject: str, text: str) -> int:
    """Send one task for each recipient, so that a bad address does not hold up the others."""
    unique = list(dict.fromkeys(recipients))
    for to in unique:
        send_mail.delay(to, subject, text)
    return len(unique)
