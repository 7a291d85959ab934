"""Periodic housekeeping of the database."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from celery.utils.log import get_task_logger
from django.core.management import call_command
from django.utils import timezone

from .models import Job

logger = get_task_logger(__name__)


@shared_task(name="jobs.clean_up")
def clean_up(older_than_days: float = 30) -> int:
    """Delete expired sessions and old jobs, and return how many jobs were deleted."""
    call_command("clearsessions")
    oldest = timezone.now() - timedelta(days=older_than_days)
    deleted, _ = Job.objects.filter(requested_at__lt=oldest).delete()
    logger.info("Deleted %d jobs", deleted)
    return deleted
