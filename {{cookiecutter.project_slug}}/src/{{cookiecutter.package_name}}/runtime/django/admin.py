"""Jobs in Django's admin, read-only."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from .models import Job


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """A list of requested and cancelled jobs."""

    list_display = ("id", "name", "requested_at", "cancelled_at")
    list_filter = ("name",)
    readonly_fields = list_display

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Forbid adding jobs by hand, because a row alone starts nothing."""
        return False
