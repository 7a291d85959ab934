"""Tasks that call other servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import current_app

from .. import answers
from ..resources import PerProcess
from .base import BaseTask

if TYPE_CHECKING:
    import httpx

#: Seconds without an answer; a call may name its own `timeout`.
TIMEOUT = 10


def connect() -> httpx.Client:
    """Return a new client."""
    import httpx  # which a process that only publishes does without, and it is slow to import

    return httpx.Client(timeout=TIMEOUT, headers={"User-Agent": str(current_app.main)})


client = PerProcess(connect, lambda client: client.close())


class HTTPTask(BaseTask):
    """Own an HTTP client for each process, which keeps its connections between tasks.

    `bind=True` gives the task its `self`; then `self.call("POST", url, json=...)`.
    """

    @property
    def http(self) -> httpx.Client:
        """Return the client of this process."""
        return client()

    def call(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Call another server and return its answer, which is a success.

        Args:
            method: Such as GET.
            url: Where to.
            options: Those of `httpx.Client.request`.

        Raises:
            PermanentError: The URL is wrong, or the server refuses.
            RateLimitedError: It asks to come again later.
            TransientError: It cannot be reached, or fails.
        """
        with answers.calling(f"{method} {url}"):
            response = self.http.request(method, url, **options)
        answers.raise_for_response(response)
        return response

    def idempotency_headers(self, key: str = "") -> dict[str, str]:
        """Return the header by which a receiver recognises a repetition.

        https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

        Args:
            key: The key; by default the task's id, which is the same in every retry.
        """
        return {"Idempotency-Key": key or str(self.request.id)}
