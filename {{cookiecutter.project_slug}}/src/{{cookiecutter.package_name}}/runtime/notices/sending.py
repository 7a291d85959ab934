"""Sending a notice by mail or to a webhook."""

from __future__ import annotations

import smtplib
import ssl
import urllib.request
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from .settings import PORTS, body_of

if TYPE_CHECKING:
    from .settings import Settings

#: Seconds that a server may take to answer.
PATIENCE = 15

#: What is raised if a notice cannot be sent.
ERRORS: tuple[type[Exception], ...] = (OSError, smtplib.SMTPException)


def send(channel: str, settings: Settings, subject: str, text: str) -> None:
    """Send a notice.

    Args:
        channel: `mail` or `webhook`.
        settings: Who is told, and how.
        subject: What it is about, in one line.
        text: The notice.

    Raises:
        OSError: The server does not answer, or refuses it.
        SMTPException: The mail server refuses it.
    """
    if channel == "mail":
        mail(settings, subject, text)
    else:
        post(settings, f"{subject}\n\n{text}")


def mail(settings: Settings, subject: str, text: str) -> None:
    """Send a mail."""
    assert settings.smtp_url  # noqa: S101 - the settings were checked
    place = urlsplit(settings.smtp_url.get_secret_value())
    message = EmailMessage()
    message["Subject"], message["From"] = subject, settings.mail_from
    message["To"], message["Date"] = ", ".join(settings.mail_to), formatdate()
    message["Message-ID"] = make_msgid(domain=settings.mail_from.rpartition("@")[2] or None)
    message.set_content(text)
    address = (place.hostname or "", place.port or PORTS[place.scheme])
    if place.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            *address, timeout=PATIENCE, context=ssl.create_default_context()
        )
    else:
        server = smtplib.SMTP(*address, timeout=PATIENCE)
    with server:
        server.ehlo()
        if place.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
        if place.username:
            server.login(unquote(place.username), unquote(place.password or ""))
        server.send_message(message)


def post(settings: Settings, text: str) -> None:
    """Send a text to a webhook."""
    assert settings.webhook_url  # noqa: S101 - the caller has looked
    request = urllib.request.Request(  # noqa: S310 - the settings allow http and https only
        settings.webhook_url.get_secret_value(),
        body_of(settings.webhook_body, text).encode(),
        {"Content-Type": "application/json; charset=utf-8", "User-Agent": "celery"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310
        pass
