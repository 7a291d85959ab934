"""Mailings and their recipients."""

from __future__ import annotations

from django.db import models


class Mailing(models.Model):
    """A text that goes to many recipients."""

    subject = models.CharField(max_length=200)
    text = models.TextField()

    def __str__(self) -> str:
        return self.subject


class Recipient(models.Model):
    """A recipient of a mailing, and when the mailing was sent to them."""

    mailing = models.ForeignKey(Mailing, models.CASCADE, related_name="recipients")
    address = models.EmailField()
    sent_at = models.DateTimeField(null=True, editable=False)
    refused = models.BooleanField(default=False, editable=False)

    class Meta:
        """List each recipient of a mailing only once."""

        constraints = (
            models.UniqueConstraint(fields=("mailing", "address"), name="one_mail_for_each"),
        )

    def __str__(self) -> str:
        return self.address
