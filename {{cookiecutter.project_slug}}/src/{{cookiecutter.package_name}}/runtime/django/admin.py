"""Jobs in the admin, to look at."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from .models import Job


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """Which jobs were requested, and which were cancelled."""

    list_display = ("id", "name", "requested_at", "cancelled_at")
    list_filter = ("name",)
    readonly_fields = list_display

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return no: a row alone starts nothing."""
        return False
