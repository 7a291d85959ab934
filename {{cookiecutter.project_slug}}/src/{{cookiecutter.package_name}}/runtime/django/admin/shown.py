"""How the pages of the admin show values, and what came of an action."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from kombu.utils.json import dumps

from ...letters.store import DeadLetterError
from ...printable import lines, one_line
from ...web.problems import Problem, outages

#: How many characters of a value a page shows, and how many sentences about an action.
MOST, MOST_SENTENCES = 20_000, 10

STYLE = "margin: 0; padding: 0; white-space: pre-wrap; overflow-wrap: anywhere"


def as_json(value: object) -> str:
    """Return a value as JSON for people."""
    return str(dumps(value, ensure_ascii=False, indent=2))


def block(text: str) -> SafeString:
    """Return a text with its line breaks; characters that would reorder it are escapes."""
    shown = "\n".join(lines(text[:MOST]))
    return format_html(
        '<pre style="{}">{}{}</pre>', STYLE, shown, " ..." if len(text) > MOST else ""
    )


def at(moment: datetime | None) -> str:
    """Return a time, as the admin formats it."""
    return date_format(localtime(moment), "DATETIME_FORMAT") if moment else "-"


def lasting(span: timedelta) -> str:
    """Return how long something took."""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def act(
    request: HttpRequest,
    kind: str,
    things: Iterable[Any],
    action: Callable[[Any], object],
    done: str,
) -> None:
    """Do something to each of several things, and tell the user what came of each.

    Args:
        request: The request, whose user is told.
        kind: What a thing is called, such as `Job`.
        things: The things; each is named by its text.
        action: What to do; it may return a sentence for the user that says what it did instead.
        done: What was done to a thing, such as `was cancelled`.
    """
    succeeded: list[str] = []
    refused: list[str] = []
    for thing in things:
        name = f"{kind} {one_line(thing)}"
        try:
            said = action(thing)
        except (Problem, DeadLetterError) as error:
            refused.append(f"{name}: {error}")
        except outages():
            refused.append(f"{name}: a server does not answer, so try again later")
            break
        else:
            succeeded.append(f"{name}: {said}." if said else f"{name} {done}.")
    for tell, sentences in ((messages.success, succeeded), (messages.error, refused)):
        for sentence in sentences[:MOST_SENTENCES]:
            tell(request, sentence)
        if len(sentences) > MOST_SENTENCES:
            tell(request, f"The same goes for {len(sentences) - MOST_SENTENCES} more.")
