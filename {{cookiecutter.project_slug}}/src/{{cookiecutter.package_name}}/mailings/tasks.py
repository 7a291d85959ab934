{% set keeps_results = cookiecutter._keeps_results[cookiecutter.result_backend] %}
{% set base = "ProgressTask" if keeps_results else "BaseTask" %}
"""Sending mailings; rows record what was sent, so that a task can go on where it stopped."""

from __future__ import annotations

import smtplib

from celery.utils.log import get_task_logger
from django.core.mail import EmailMessage, get_connection
from django.utils import timezone

from ..celery import app
from ..queues import QueueName
from ..runtime import answers
from ..runtime.tasks.{{ "progress" if keeps_results else "base" }} import {{ base }}
from .models import Mailing, Recipient

logger = get_task_logger(__name__)

#: The number of mails that are sent over one connection.
CHUNK = 50


@app.task({{ "base=ProgressTask, " if base == "ProgressTask" }}bind=True, name="mailings.send", queue=QueueName.IO)
def send(self: {{ base }}, mailing_id: int) -> int:
    """Send a mailing to everybody who has not received it yet, and return how many those were.

    If it runs again, it goes on where it stopped; at most one mail is sent twice.
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
    """Send one mail to each recipient over one connection, and return how many were accepted.

    Raises:
        TransientError: The mail server fails.
        PermanentError: The mail server refuses every mail.
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
                    logger.warning("Recipient %d was refused: %s", recipient.pk, error)
                    recipient.refused = True
                recipient.save(update_fields=["sent_at", "refused"])
    except smtplib.SMTPException as error:
        raise answers.from_smtp(error) from error
    return accepted
