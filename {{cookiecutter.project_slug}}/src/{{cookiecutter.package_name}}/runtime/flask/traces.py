"""Traces of the requests of a Flask app."""

from __future__ import annotations

from flask import Flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor


def instrument(api: Flask) -> None:
    """Trace the requests of an app."""
    FlaskInstrumentor().instrument_app(api)
