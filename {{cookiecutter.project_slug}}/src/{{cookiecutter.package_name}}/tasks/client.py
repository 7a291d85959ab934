"""Tasks that call other servers."""

from __future__ import annotations

import httpx

from ..resources import PerProcess
from ..settings import settings
from .base import BaseTask

client = PerProcess(
    lambda: httpx.Client(timeout=settings().webhook_timeout, headers={"User-Agent": __package__}),
    httpx.Client.close,
)


class HTTPTask(BaseTask):
    """Own an HTTP client for each process, which keeps its connections between tasks.

    `bind=True` gives the task its `self`; then `self.http.post(...)`.
    """

    @property
    def http(self) -> httpx.Client:
        """Return the client of this process."""
        return client()
