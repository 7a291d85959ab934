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
    """A task with an HTTP client, which each process shares and which keeps its connections open.

    Use `bind=True` to get `self`, and then `self.call("POST", url, json=...)`.
    """

    @property
    def http(self) -> httpx.Client:
        """Return the client of this process."""
        return client()

    def call(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Call another server, and return its answer if it is a success.

        Args:
            method: The HTTP method, such as GET.
            url: The URL.
            options: Options of `httpx.Client.request`.

        Raises:
            PermanentError: The URL is wrong, or the server refuses the request.
            RateLimitedError: The server asks to call again later.
            TransientError: The server cannot be reached, or fails.
        """
        with answers.calling(f"{method} {url}"):
            response = self.http.request(method, url, **options)
        answers.raise_for_response(response)
        return response

    def idempotency_headers(self, key: str = "") -> dict[str, str]:
        """Return the header by which the receiver recognises a repeated request.

        https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

        Args:
            key: The key; by default the task's id, which is the same in every retry.
        """
        return {"Idempotency-Key": key or str(self.request.id)}
