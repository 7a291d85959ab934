"""Tasks that call other servers."""

from __future__ import annotations

import httpx

from ..runtime.resources import PerProcess
from ..runtime.tasks.base import BaseTask
from ..settings import settings

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

    def idempotency_headers(self, key: str = "") -> dict[str, str]:
        """Return the header by which a receiver recognises a repetition.

        https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

        Args:
            key: The key; by default the task's id, which is the same in every retry.
        """
        return {"Idempotency-Key": key or str(self.request.id)}
