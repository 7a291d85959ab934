"""The figures of web processes at `/metrics`, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from . import token
from .answers import Answer

if TYPE_CHECKING:
    from ..app import App

#: The text format of Prometheus.
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Answers a request, of which it needs the header `Authorization`.
Page = Callable[[str | None], Answer]


def page_of(app: App) -> Page | None:
    """Return what answers requests for the figures; None if nobody may ask for them."""
    found = app.metrics_of_web()
    return partial(answer, *found) if found else None


def answer(expected: str, figures: Callable[[], str], authorization: str | None) -> Answer:
    """Answer a request for the figures.

    Args:
        expected: The token of those who may ask.
        figures: Returns the figures.
        authorization: The header of the request.

    Raises:
        Problem: The request does not hold the token.
    """
    token.authorize(authorization, expected, "token of APP_METRICS_TOKEN")
    return Answer(figures(), 200, {}, MEDIA_TYPE)
