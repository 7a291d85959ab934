"""What gunicorn calls, by `--config` on its command line."""

from __future__ import annotations

from typing import Any, Protocol

from .stopping import Stopping


class Worker(Protocol):
    """A process of gunicorn that serves requests; it is not `alive` once it is told to stop."""

    alive: bool


def post_worker_init(worker: Worker) -> None:
    """End event streams when this worker is told to stop.

    Without this, every stop would take as long as the server waits for open connections.
    """
    Stopping.is_told = lambda: not worker.alive


def when_ready(_: object) -> None:
    """Let the process whose children serve the requests begin to count, so that they share it."""
    from celery import current_app

    app: Any = current_app  # the project's, which was loaded before
    app.web_metrics.begin()
