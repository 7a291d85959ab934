"""The example in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from . import tasks
from .models import Account, Mailing, Payment, Recipient


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """Accounts."""

    list_display = ("email", "balance")
    search_fields = ("email",)


@admin.register(Payment)
class PaymentAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """Payments; their state is the task's to change."""

    list_display = ("id", "account", "amount", "state", "created_at", "settled_at")
    list_filter = ("state",)
    readonly_fields = ("state", "created_at", "settled_at")
    autocomplete_fields = ("account",)


class RecipientInline(admin.TabularInline):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """Recipients of a mailing."""

    model = Recipient
    extra = 1
    readonly_fields = ("sent_at", "refused")


@admin.register(Mailing)
class MailingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """Mailings."""

    inlines = (RecipientInline,)
    actions = ("send",)

    @admin.action(description="Send to those who have not got it")
    def send(self, request: HttpRequest, queryset: QuerySet[Mailing]) -> None:
        """Send the chosen mailings."""
        for mailing in queryset:
            tasks.send_mailing.delay_on_commit(mailing.pk)
        self.message_user(request, f"{len(queryset)} on their way")
