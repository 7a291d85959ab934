"""A module that no worker may load: its task is a coroutine function."""

from __future__ import annotations

from celery import shared_task  # type: ignore[import-not-found,import-untyped,unused-ignore]


@shared_task(name="probe.coroutine")  # type: ignore[untyped-decorator,unused-ignore]
async def coroutine() -> None:
    """Do nothing."""
