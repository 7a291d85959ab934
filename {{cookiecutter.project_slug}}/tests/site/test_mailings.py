"""A mailing goes to each recipient once, wherever its task ended before."""

import smtplib
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from {{ cookiecutter.package_name }}.mailings import models, tasks
from {{ cookiecutter.package_name }}.runtime import errors

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mailing() -> models.Mailing:
    mailing = models.Mailing.objects.create(subject="News", text="...")
    for number in range(tasks.CHUNK + 3):
        mailing.recipients.create(address=f"{number}@example.com")
    return mailing


def test_a_mailing_goes_to_each_once(run: Callable[..., Any], mailing: models.Mailing) -> None:
    assert run(tasks.send, mailing.pk) == ("SUCCESS", tasks.CHUNK + 3)
    assert len(mail.outbox) == tasks.CHUNK + 3
    assert run(tasks.send, mailing.pk) == ("SUCCESS", 0)
    assert len(mail.outbox) == tasks.CHUNK + 3


def test_a_mailing_goes_on_where_it_ended(mailing: models.Mailing) -> None:
    refused = smtplib.SMTPRecipientsRefused({"x": (550, b"no such user")})
    outcomes: list[Any] = [1, refused, smtplib.SMTPServerDisconnected("gone")]
    chunk = list(mailing.recipients.order_by("pk"))
    send = patch.object(mail.EmailMessage, "send", side_effect=outcomes)
    with send, pytest.raises(errors.TransientError, match="gone"):
        tasks.send_chunk(mailing, chunk)
    assert models.Recipient.objects.filter(refused=True).count() == 1
    assert models.Recipient.objects.exclude(sent_at=None).count() == 1


def test_the_admin_sends_a_mailing(admin_client: Client, mailing: models.Mailing) -> None:
    data = {"action": "send", "_selected_action": [mailing.pk]}
    with patch.object(tasks.send, "delay_on_commit") as sent:
        answer = admin_client.post(reverse("admin:mailings_mailing_changelist"), data, follow=True)
    assert "Mailings that are being sent: 1" in answer.content.decode()
    sent.assert_called_once_with(mailing.pk)
    assert str(mailing) in answer.content.decode()
