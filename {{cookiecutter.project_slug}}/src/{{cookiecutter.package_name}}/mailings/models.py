"""Mailings and their recipients."""

from __future__ import annotations

from django.db import models


class Mailing(models.Model):
    """A text that goes to many."""

    subject = models.CharField(max_length=200)
    text = models.TextField()

    def __str__(self) -> str:
        return self.subject


class Recipient(models.Model):
    """Somebody who gets a mailing, and when that was."""

    mailing = models.ForeignKey(Mailing, models.CASCADE, related_name="recipients")
    address = models.EmailField()
    sent_at = models.DateTimeField(null=True, editable=False)
    refused = models.BooleanField(default=False, editable=False)

    class Meta:
        """Nobody gets a mailing twice."""

        constraints = (
            models.UniqueConstraint(fields=("mailing", "address"), name="one_mail_for_each"),
        )

    def __str__(self) -> str:
        return self.address
