"""Signal handlers, which send tasks when rows are saved."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from . import tasks
from .models import Payment


@receiver(post_save, sender=Payment)
def settle_new_payment(instance: Payment, created: bool, raw: bool = False, **_: Any) -> None:
    """Send the task for a new payment when the transaction that created it is committed."""
    if created and not raw:  # raw means that a fixture is being loaded
        tasks.settle.delay_on_commit(instance.pk)
