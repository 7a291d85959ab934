"""What starts when a row is saved."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from . import tasks
from .models import Payment


@receiver(post_save, sender=Payment)
def settle_new_payment(instance: Payment, created: bool, raw: bool = False, **_: Any) -> None:
    """Settle a new payment when the transaction that made it is committed, or never."""
    if created and not raw:  # raw: a fixture is loaded
        tasks.settle.delay_on_commit(instance.pk)
