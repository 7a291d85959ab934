"""A client of the API of jobs, over a socket."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.test import LiveServerTestCase

from my_celery_project.runtime.django import part  # noqa: F401 - what this is about
from my_celery_project.tasks import heartbeat


class Api(LiveServerTestCase):
    """Call the API over a socket."""

    def call(
        self, method: str, path: str, body: Any = None, token: str = ""
    ) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:
        """Return status, body and headers of an answer."""
        connection = http.client.HTTPConnection(self.server_thread.host, self.server_thread.port)
        headers = {"Authorization": f"Bearer {token or settings.API_TOKEN}"}
        text = body if isinstance(body, str) else json.dumps(body)
        connection.request(method, path, text if body is not None else None, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read() or "{}")
        connection.close()
        return answer.status, content, answer.headers

    @contextmanager
    def opened(self, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
        """Yield an answer that is not read yet, and close the connection in the end."""
        connection = http.client.HTTPConnection(
            self.server_thread.host, self.server_thread.port, timeout=20
        )
        token = {"Authorization": f"Bearer {settings.API_TOKEN}"}
        connection.request("GET", path, headers={**token, **headers})
        with connection.getresponse() as answer:
            yield answer
        connection.close()

    def submit(self) -> str:
        """Submit a heartbeat and return its place."""
        status, told, headers = self.call("POST", "/jobs/heartbeat")
        assert status == 202
        assert headers["Location"] == told["url"] == f"/jobs/{told['id']}"
        return headers["Location"]

    def waiting(self) -> str:
        """Submit a job that no worker gets, and return its place."""
        with patch.object(heartbeat.beat, "apply_async"):
            return self.submit()
