"""The pages of jobs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import states
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe

from ...printable import shortened
from ...web.problems import outages
from ..models import Job
from ..service import EXPIRED, STARTED_ONCE, Seen, service_in_use
from .shown import act, as_json, at, block, lasting

#: States of running tasks; a project without results does not have the module of the second one.
RUNNING = {states.STARTED, "PROGRESS"}

#: What people call the states of tasks.
WORDS = {
    states.PENDING: "waiting",
    "SENT": "waiting",
    states.STARTED: "running",
    "PROGRESS": "running",
    states.RETRY: "waiting for its next try",
    states.SUCCESS: "succeeded",
    states.FAILURE: "failed",
    states.REVOKED: "cancelled",
    EXPIRED: "over (its result has expired)",
    STARTED_ONCE: "started (results are not kept)",
}

#: Before the result store was asked, or if it does not answer.
UNKNOWN = Seen("unknown")


class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """The list of jobs, a page for each, and actions that cancel them or run them again."""

    list_display = ("name", "state", "requested", "duration", "summary")
    list_filter = ("name", "requested_at")
    list_per_page = 50
    search_fields = ("name",)
    search_help_text = "The name or the id of a job"
    actions = ("cancel", "run_again")
    fieldsets = (
        (None, {"fields": ("id", "name", "state", "arguments_of", "outcome")}),
        ("Times", {"fields": ("requested_at", "started_at", "ended_at", "duration")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Forbid adding jobs by hand, because a row alone starts nothing."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Forbid editing, because a row only says what happened."""
        return False

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may cancel jobs."""
        return request.user.has_perm(f"{self.opts.app_label}.cancel_job")

    def has_run_again_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may run jobs again."""
        return request.user.has_perm(f"{self.opts.app_label}.run_again_job")

    # What is known about jobs

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, with what is known about the jobs on this page of it."""
        changelist = super().get_changelist_instance(request)
        if request.method == "GET":
            self.look(request, changelist.result_list)
        return changelist

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Job | None:
        """Return a job, with what is known about it."""
        job: Job | None = super().get_object(request, object_id, from_field)
        if job:
            self.look(request, [job])
        return job

    def look(self, request: HttpRequest, jobs: Any) -> None:
        """Ask the result store about jobs; if it does not answer, tell the user, and stop."""
        try:
            for job in jobs:
                job.seen = service_in_use().seen(job)
        except outages():
            text = "The result store does not answer, so the state of some jobs is unknown."
            self.message_user(request, text, "WARNING")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """Find jobs by a part of their name, or by their whole id."""
        try:
            return queryset.filter(pk=UUID(search_term)), False
        except ValueError:
            return super().get_search_results(request, queryset, search_term)

    @admin.display
    def state(self, job: Job) -> str:
        """Return the state, with the progress of a running job."""
        seen = seen_of(job)
        if seen.state in RUNNING and job.cancelled_at:
            return "running, to be cancelled"
        word = WORDS.get(seen.state, seen.state)
        if not seen.progress:
            return word
        percent = seen.progress.get("percent", 0)
        return format_html(
            '{} <progress max="100" value="{}"></progress> {} % {}',
            *(word, percent, percent, seen.progress.get("message", "")),
        )

    @admin.display(description="requested at", ordering="requested_at")
    def requested(self, job: Job) -> str:
        """Return when the job was requested, in a column that may be narrow."""
        return at(job.requested_at)

    @admin.display(description="details")
    def summary(self, job: Job) -> str:
        """Return the beginnings of the arguments and of the result or error."""
        seen, kwargs = seen_of(job), job.kwargs or {}
        named = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
        parts = [shortened(part, 80) for part in (named, seen.error or text_of(seen)) if part]
        return format_html_join(mark_safe("<br>"), "{}", ((part,) for part in parts)) or "-"

    @admin.display(description="arguments")
    def arguments_of(self, job: Job) -> str:
        """Return the arguments."""
        if job.kwargs is None:
            return "not known"
        return block(as_json(job.kwargs)) if job.kwargs else "none"

    @admin.display(description="result or error")
    def outcome(self, job: Job) -> str:
        """Return the result or the error."""
        seen = seen_of(job)
        text = seen.error or text_of(seen)
        return block(text) if text else "-"

    @admin.display
    def ended_at(self, job: Job) -> str:
        """Return when the job ended."""
        return at(seen_of(job).ended_at)

    @admin.display
    def duration(self, job: Job) -> str:
        """Return how long the job took from its first start, or has taken so far."""
        seen = seen_of(job)
        if job.started_at is None or (seen.is_over and seen.ended_at is None):
            return "-"
        return lasting((seen.ended_at or timezone.now()) - job.started_at)

    # Actions

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a job, or do what one of its buttons says."""
        allowed = {
            "cancel": self.has_cancel_permission(request),
            "run_again": self.has_run_again_permission(request),
        }
        if request.method == "POST":
            for name in allowed:
                if f"_{name}" in request.POST and allowed[name]:
                    getattr(self, name)(request, self.get_queryset(request).filter(pk=object_id))
                    return HttpResponseRedirect(request.path)
        letters = request.user.has_perm(f"{self.opts.app_label}.view_deadletter")
        context = {**(extra_context or {}), "may": {**allowed, "see_dead_letters": letters}}
        return super().changeform_view(request, object_id, form_url, context)

    @admin.action(description="Cancel selected jobs", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Cancel jobs."""

        def stop(job: Job) -> str:
            service_in_use().stop(job)
            self.log_change(request, job, "Cancelled.")
            return service_in_use().after_stop(job)

        act(request, "Job", queryset, stop, "was cancelled")

    @admin.action(description="Run selected jobs again", permissions=["run_again"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Send the tasks of jobs again, as new jobs."""

        def send(job: Job) -> str:
            again = service_in_use().run_again(job)
            self.log_change(request, job, f"Sent again as {again.pk}.")
            return f"it was sent again as {again.pk}"

        act(request, "Job", queryset, send, "")


def seen_of(job: Any) -> Seen:
    """Return what `JobAdmin.look` has found out about a job."""
    found: Seen = getattr(job, "seen", UNKNOWN)
    return found


def text_of(seen: Seen) -> str:
    """Return the result of a job as text, or nothing."""
    if seen.state != states.SUCCESS or seen.result is None:
        return ""
    return seen.result if isinstance(seen.result, str) else as_json(seen.result)
