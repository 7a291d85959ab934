"""The figures of web processes at `/metrics`, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .answers import Answer
from .token import authorize

if TYPE_CHECKING:
    from ..app import App

#: The text format of Prometheus.
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Answers a request, of which it needs the header `Authorization`; without the token, it raises
#: `Problem`.
Page = Callable[[str | None], Answer]


def page_of(app: App) -> Page | None:
    """Return what answers requests for the figures; None if nobody may ask for them.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    metrics = app.web_metrics

    def page(authorization: str | None) -> Answer:
        authorize(authorization, metrics.token, "token of APP_METRICS_TOKEN")
        return Answer(metrics.text(), 200, {}, MEDIA_TYPE)

    return page if metrics.token else None
