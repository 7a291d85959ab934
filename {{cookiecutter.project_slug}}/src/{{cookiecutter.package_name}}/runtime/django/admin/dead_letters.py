"""The pages of dead letters, which are not rows: the store of the app is asked for each page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, ActionForm
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_datetime

from ...letters import letter as letters_of
from ...letters.store import DeadLetterError, Filter, Letters
from ...printable import one_line, shortened
from ...web.admin import existing, opened
from ...web.problems import Problem, outages
from ..models import DeadLetter
from ..service import service_in_use
from .shown import act, as_json, block

#: How many dead letters a page shows, and how many it looks through for those that match.
PAGE, SEARCHED = 50, 5_000

#: The actions and their labels.
LABELS = {"replay": "Replay", "discard": "Discard"}

GONE = DeadLetterError("it is not there any more")

#: The filters with a fixed choice.
CHOICES: dict[str, list[tuple[str, str]]] = {
    "reason": [(reason.value, reason.capitalize()) for reason in letters_of.Reason],
    "replayed": [("yes", "Yes"), ("no", "No")],
}


class Search(forms.Form):
    """What the user looks for."""

    task = forms.CharField(required=False, max_length=255)
    error = forms.CharField(required=False, max_length=255)
    reason = forms.ChoiceField(required=False, choices=CHOICES["reason"])
    replayed = forms.ChoiceField(required=False, choices=CHOICES["replayed"])
    #: How many dead letters the pages before this one have looked through.
    start = forms.IntegerField(required=False, min_value=0, max_value=10_000_000)

    def filter(self) -> Filter:
        """Return the filter; a text without `*` matches a part of the name."""
        given = self.cleaned_data

        def pattern(text: str) -> str:
            return text if "*" in text else f"*{text}*"

        return Filter(
            task=pattern(given["task"]),
            error=pattern(given["error"]),
            reason=given["reason"] or "*",
            replayed={"yes": True, "no": False}.get(given["replayed"]),
        )


class Choice:
    """A filter with a fixed choice, as the admin's own template shows it.

    Args:
        name: The name of the parameter.
        query: The parameters of the request.
    """

    template = "admin/filter.html"

    def __init__(self, name: str, query: QueryDict) -> None:
        self.title, self.query = name, query

    def choices(self, _: object) -> Iterator[dict[str, Any]]:
        """Yield the links."""
        for value, label in [("", "All"), *CHOICES[self.title]]:
            yield {
                "selected": self.query.get(self.title, "") == value,
                "query_string": with_(self.query, **{self.title: value, "start": ""}),
                "display": label,
            }


class ChangeList:
    """What the admin's template of a list asks about the list; it lays out the page."""

    has_filters = True
    clear_all_filters_qs = "?"

    def __init__(self, opts: Any, rows: list[dict[str, Any]], query: QueryDict) -> None:
        self.opts = opts
        self.result_list = rows
        self.result_count = len(rows)
        self.has_active_filters = any(query.get(name) for name in Search.base_fields)
        self.filter_specs = [Choice(name, query) for name in CHOICES]


class Page(NamedTuple):
    """Dead letters that match, and where the next page starts, if there may be more."""

    rows: list[dict[str, Any]]
    next_start: int | None = None
    #: Whether the page ends because enough were looked through, and not because it is full.
    is_unfinished: bool = False


def unreadable() -> tuple[type[Exception], ...]:
    """Return the errors of a store that cannot be read now."""
    return (DeadLetterError, *outages())


def page_of(found: Letters, wanted: Filter, start: int) -> Page:
    """Return a page of dead letters; those before and after it are not kept in memory.

    Args:
        found: The open store.
        wanted: Which dead letters to show.
        start: How many of the newest to skip.
    """
    rows: list[dict[str, Any]] = []
    position = start
    for letter in islice(found, start, None):
        if len(rows) == PAGE:
            return Page(rows, position)
        if position == start + SEARCHED:
            return Page(rows, position, is_unfinished=True)
        position += 1
        if wanted.matches(letter):
            rows.append(row_of(letter))
    return Page(rows)


def row_of(letter: letters_of.DeadLetter) -> dict[str, Any]:
    """Return what a list shows of a dead letter."""
    return {
        "id": letter.id,
        "url": reverse("admin:jobs_deadletter_change", args=[quote(letter.id)]),
        "task": one_line(letter.task or "a message"),
        "reason": one_line(letter.reason),
        "error": shortened(letter.problem, 200),
        "failed_at": parse_datetime(letter.last_failed_at or letter.failed_at),
        "count": letter.count,
        "replayed": bool(letter.history),
    }


class DeadLetterAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django has no ModelAdmin[...]
    """A list of dead letters with filters, a page for each, and actions."""

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs of the two pages."""
        name, view = "jobs_deadletter", self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name=f"{name}_changelist"),
            path("<path:object_id>/change/", view(self.change_view), name=f"{name}_change"),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Forbid adding."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Forbid editing."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Forbid deleting, which is called discarding here."""
        return False

    def actions_of(self, request: HttpRequest) -> dict[str, str]:
        """Return the labels of the actions that the user may do, by their names."""
        return {
            name: label
            for name, label in LABELS.items()
            if request.user.has_perm(f"{self.opts.app_label}.{name}_deadletter")
        }

    def action_form_of(self, request: HttpRequest) -> ActionForm | None:
        """Return the form for choosing an action, if the user may do any."""
        actions = self.actions_of(request)
        if not actions:
            return None
        form = ActionForm(auto_id=False)
        choices = [(name, f"{label} selected dead letters") for name, label in actions.items()]
        form.fields["action"].choices = [("", "---------"), *choices]  # type: ignore[attr-defined]
        return form

    def response(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        """Return a page of the admin."""
        site = self.admin_site.each_context(request)
        context = {**site, "opts": self.opts, "actions": self.actions_of(request), **context}
        return TemplateResponse(request, f"admin/jobs/deadletter/{template}.html", context)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a page of dead letters, or do something to the selected ones."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            name = request.POST.get("action", "")
            return self.on_selected(request, name, request.POST.getlist(ACTION_CHECKBOX_NAME))
        search = Search(request.GET)
        if not search.is_valid():
            return HttpResponseRedirect(request.path)
        wanted, start = search.filter(), search.cleaned_data["start"] or 0
        try:
            with opened(service_in_use().app) as found:
                page = page_of(found, wanted, start)
        except unreadable() as error:
            page = Page([])
            messages.error(request, f"The dead letters cannot be read: {shortened(error)}")
        return self.response(
            request,
            "change_list",
            title="Dead letters",
            media=self.media,
            cl=ChangeList(self.opts, page.rows, request.GET),
            action_form=self.action_form_of(request),
            actions_selection_counter=True,
            selection_note=f"0 of {len(page.rows)} selected",
            search=search,
            page=page,
            start=start,
            next_page=with_(request.GET, start=str(page.next_start)),
            first_page=with_(request.GET, start=""),
            **(extra_context or {}),
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a dead letter, or do something to it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        letter_id = unquote(object_id)
        if request.method == "POST":
            buttons = [name for name in LABELS if f"_{name}" in request.POST]
            name = buttons[0] if buttons else request.POST.get("action", "")
            return self.on_selected(request, name, [letter_id])
        try:
            with opened(service_in_use().app) as found:
                letter = existing(found, letter_id)
        except Problem:
            messages.error(request, f"There is no dead letter {one_line(letter_id)}.")
            return HttpResponseRedirect(reverse("admin:jobs_deadletter_changelist"))
        except unreadable() as error:
            messages.error(request, f"The dead letter cannot be read: {shortened(error)}")
            return HttpResponseRedirect(reverse("admin:index"))
        return self.response(
            request,
            "change_form",
            title=f"Dead letter of {one_line(letter.task or 'a message')}",
            letter=letter,
            name=shortened(letter.id, 40),
            fields=[field for field in fields_of(letter) if field[1]],
            traceback=block(letter.traceback) if letter.traceback else "",
            replays=[self.replay_of(replay) for replay in letter.history],
            **(extra_context or {}),
        )

    def replay_of(self, replay: dict[str, Any]) -> dict[str, Any]:
        """Return what the page of a dead letter shows of a replay."""
        return {
            "at": parse_datetime(replay["at"]),
            "by": one_line(replay["by"]),
            "as_id": one_line(replay["as_id"]),
            "url": reverse("admin:jobs_deadletter_change", args=[quote(replay["as_id"])]),
        }

    def on_selected(self, request: HttpRequest, name: str, ids: list[str]) -> HttpResponse:
        """Replay or discard dead letters; discarding asks for confirmation first."""
        back = HttpResponseRedirect(request.get_full_path())
        if not ids or not name:
            messages.warning(request, "Select an action, and dead letters for it.")
            return back
        if name not in self.actions_of(request):
            raise PermissionDenied
        if name == "discard" and "confirmed" not in request.POST:
            return self.response(
                request,
                "discard",
                title="Discard dead letters" if len(ids) > 1 else "Discard a dead letter",
                names={letter_id: one_line(letter_id) for letter_id in ids},
                checkbox=ACTION_CHECKBOX_NAME,
            )
        done = {"replay": "was sent again", "discard": "was discarded"}
        try:
            with opened(service_in_use().app) as found:
                action: Callable[[DeadLetter], object] = self.actions_on(request, found)[name]
                selected = [DeadLetter(id=letter_id) for letter_id in ids]
                act(request, "Dead letter", selected, action, done[name])
        except unreadable() as error:
            messages.error(request, f"The dead letters cannot be read: {shortened(error)}")
        if name == "discard":  # the page of a discarded one is gone
            return HttpResponseRedirect(reverse("admin:jobs_deadletter_changelist"))
        return back

    def actions_on(
        self, request: HttpRequest, found: Letters
    ) -> dict[str, Callable[[DeadLetter], object]]:
        """Return what the actions do to one dead letter."""

        def replay(one: DeadLetter) -> str:
            who = f"{request.user.get_username()} in the admin"
            letter = found.get(one.id)
            if letter is None:
                raise GONE
            task_id = service_in_use().replay(found, letter, who)
            self.log(request, one, f"Replayed as {task_id}.")
            return f"its task was sent again as {task_id}"

        def discard(one: DeadLetter) -> None:
            if not found.discard(one.id):
                raise GONE
            self.log(request, one, "Discarded.")

        return {"replay": replay, "discard": discard}

    def log(self, request: HttpRequest, one: DeadLetter, text: str) -> None:
        """Add to the log of the admin, whose database may not store every character of an id."""
        self.log_change(request, DeadLetter(id=one_line(one.id)), text)


def with_(query: QueryDict, **changes: str) -> str:
    """Return a query string with some parameters changed, and without empty ones."""
    parameters = {**query.dict(), **changes}
    return "?" + urlencode({name: value for name, value in parameters.items() if value})


def fields_of(letter: letters_of.DeadLetter) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a dead letter, each with its label; some may be empty."""
    yield "Id", one_line(letter.id)
    yield "Task", one_line(letter.task)
    yield "Reason", one_line(letter.reason)
    yield "Error", block(letter.problem) if letter.problem else ""
    if letter.args is None:
        yield "Arguments", "unreadable"
        yield "Body (Base64)", block(letter.body or "")
    else:
        yield "Arguments", block(as_json(letter.args)) if letter.args else ""
        yield "Named arguments", block(as_json(letter.kwargs)) if letter.kwargs else ""
    yield "Queue", one_line(letter.queue)
    yield "Priority", letter.priority
    yield "Attempts", letter.attempts
    yield "Worker", one_line(letter.worker)
    yield "Started at", parse_datetime(letter.started_at or "")
    yield "Failed at", parse_datetime(letter.failed_at)
    yield "Failures", letter.count if letter.count > 1 else ""
    yield "Last failed at", parse_datetime(letter.last_failed_at or "")
    yield "Headers", block(as_json(letter.added_headers)) if letter.added_headers else ""
    then = {name: value for name, value in letter.embed.items() if value}
    yield "Callbacks and chain", block(as_json(then)) if then else ""
