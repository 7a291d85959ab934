"""Accounts and payments in the admin."""

from __future__ import annotations

from django.contrib import admin

from .models import Account, Payment


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """Accounts."""

    list_display = ("email", "balance")
    search_fields = ("email",)


@admin.register(Payment)
class PaymentAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """Payments, whose state only the task may change."""

    list_display = ("id", "account", "amount", "state", "created_at", "settled_at")
    list_filter = ("state",)
    readonly_fields = ("state", "created_at", "settled_at")
    autocomplete_fields = ("account",)
