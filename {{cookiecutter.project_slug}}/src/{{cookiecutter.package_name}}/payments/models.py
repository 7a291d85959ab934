"""Accounts and payments. Amounts are in cents."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone


class Account(models.Model):
    """An account with a balance."""

    email = models.EmailField(unique=True)
    balance = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.email


class Payment(models.Model):
    """A payment from an account, which is taken once."""

    class State(models.TextChoices):
        """The state of a payment."""

        PENDING = "PENDING"
        PAID = "PAID"
        DECLINED = "DECLINED"

    account = models.ForeignKey(Account, models.PROTECT, related_name="payments")
    amount = models.PositiveBigIntegerField(validators=[MinValueValidator(1)])
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    settled_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        """List payments by age, the newest first."""

        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"payment {self.pk}"

    def settle(self, account: Account) -> None:
        """Take the amount if the balance covers it. Both rows must be locked.

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
