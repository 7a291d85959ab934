"""Mailings in the admin, with an action that sends them."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from . import tasks
from .models import Mailing, Recipient


class RecipientInline(admin.TabularInline):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """The recipients of a mailing."""

    model = Recipient
    extra = 1
    readonly_fields = ("sent_at", "refused")


@admin.register(Mailing)
class MailingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """Mailings."""

    inlines = (RecipientInline,)
    actions = ("send",)

    @admin.action(description="Send to recipients who have not received it yet")
    def send(self, request: HttpRequest, queryset: QuerySet[Mailing]) -> None:
        """Send the selected mailings."""
        for mailing in queryset:
            tasks.send.delay_on_commit(mailing.pk)
        self.message_user(request, f"Mailings that are being sent: {len(queryset)}")
