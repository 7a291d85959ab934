"""Traces of the requests of Django."""

from __future__ import annotations

from opentelemetry.instrumentation.django import DjangoInstrumentor


def instrument(_: object) -> None:
    """Trace the requests of this process, by a middleware in front of the others."""
    DjangoInstrumentor().instrument()
