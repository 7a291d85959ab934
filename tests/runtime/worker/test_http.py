"""The HTTP client that a process owns, talking to a real server that keeps connections open."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from my_celery_project.runtime.tasks import http
from my_celery_project.tasks import webhooks


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # which keeps connections; pytest-httpserver always closes them
    ports: list[int]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.ports.append(self.client_address[1])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_tasks_share_a_connection(run: Callable[..., Any]) -> None:
    Receiver.ports = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        for _ in range(3):
            assert run(webhooks.deliver, url, "paid", {"id": 7}) == ("SUCCESS", 204)
        http.client.close()
        assert run(webhooks.deliver, url, "paid", {"id": 7}) == ("SUCCESS", 204)
        http.client.close()
        server.shutdown()
    first, *others, last = Receiver.ports
    assert others == [first, first]
    assert last != first
