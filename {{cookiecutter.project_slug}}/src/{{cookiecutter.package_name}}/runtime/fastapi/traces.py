"""Traces of the requests of a FastAPI app."""

from __future__ import annotations

from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor


def instrument(api: FastAPI) -> None:
    """Trace the requests of an app; each has one span, and none for the pieces of its body."""
    FastAPIInstrumentor.instrument_app(api, exclude_spans=["receive", "send"])
