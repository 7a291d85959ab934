"""Servers that keep what processes report: traces in OpenTelemetry's form, and events in Sentry's."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Sink(ThreadingHTTPServer):
    """Keeps the bodies of all requests, and answers each with 200."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.bodies: list[bytes] = []

    @property
    def address(self) -> str:
        """Return the host and the port."""
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers a request."""

    server: Sink

    def do_POST(self) -> None:
        """Keep the body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextmanager
def sink(port: int = 0) -> Iterator[Sink]:
    """Run a sink, by default on a free port."""
    with Sink(port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@dataclass(frozen=True)
class Span:
    """What a test looks at in a span.

    Args:
        name: Its name.
        kind: Its number: 2 server, 4 producer, 5 consumer.
        trace: The id of its trace.
        id: Its own id.
        parent: The id of its parent, or nothing.
        attributes: Its attributes.
        errors: The attributes of its exceptions.
        failed: Whether its status is an error.
    """

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    errors: list[dict[str, Any]]
    failed: bool


def plain(attributes: Any) -> dict[str, Any]:
    """Return attributes as a dictionary."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def spans(server: Sink) -> list[Span]:
    """Return all spans that have arrived."""
    requests = [ExportTraceServiceRequest.FromString(body) for body in list(server.bodies)]
    return [
        Span(
            span.name,
            span.kind,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            plain(span.attributes),
            [plain(event.attributes) for event in span.events],
            span.status.code == span.status.STATUS_CODE_ERROR,
        )
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def envelopes(server: Sink) -> list[tuple[str, dict[str, Any]]]:
    """Return the kind and the content of all items that have arrived in Sentry's form."""
    found = []
    for body in list(server.bodies):
        _, *rest = body.split(b"\n")
        lines = iter(filter(None, rest))
        for header in lines:
            kind = json.loads(header)["type"]
            found.append((kind, json.loads(next(lines))))
    return found
