"""Accounts, payments and mailings. Amounts are in cents."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone


class Account(models.Model):
    """What somebody has."""

    email = models.EmailField(unique=True)
    balance = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.email


class Payment(models.Model):
    """What is taken from an account, once."""

    class State(models.TextChoices):
        """How far it is."""

        PENDING = "PENDING"
        PAID = "PAID"
        DECLINED = "DECLINED"

    account = models.ForeignKey(Account, models.PROTECT, related_name="payments")
    amount = models.PositiveBigIntegerField(validators=[MinValueValidator(1)])
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    settled_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        """The newest first."""

        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"payment {self.pk}"

    def settle(self, account: Account) -> None:
        """Take the amount, if it is there. Both rows must be locked.

        Args:
            account: The account of the payment.
        """
        if self.amount <= account.balance:
            account.balance -= self.amount
            account.save(update_fields=["balance"])
            self.state = self.State.PAID
        else:
            self.state = self.State.DECLINED
        self.settled_at = timezone.now()
        self.save(update_fields=["state", "settled_at"])


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
