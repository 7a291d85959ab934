"""Traces for OpenTelemetry: one over a web request, its tasks, their subtasks and their retries.

Names and attributes follow the conventions for messages
(https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/), with the task in place of
the queue in a span's name. Without the address of a collector nothing is imported.

This is not OpenTelemetry's own instrumentation of Celery. When a message cannot be sent, or its
task is not one of this process, that one leaves a span open, which is then the parent of all that
follows (opentelemetry-instrumentation-celery 0.66b1, `_trace_before_publish`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, Any, Literal

from celery.signals import task_postrun, task_prerun, worker_process_shutdown
from kombu.utils.imports import symbol_by_name
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from .config.environment import Variables, read
from .observer import Traces
from .parts import Part

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from .app import App

Address = Annotated[str, Field(pattern="^https?://")]

#: How many seconds a process of a pool that ends may spend on sending its last spans.
LAST_SECONDS = 3

#: Requests of web servers that are in no trace, unless OTEL_PYTHON_EXCLUDED_URLS names others.
NOT_TRACED = "/health,/metrics"


class Settings(Variables):
    """Where traces are sent; the variables are OpenTelemetry's own, and it reads many more."""

    model_config = SettingsConfigDict(env_prefix="OTEL_EXPORTER_OTLP_")

    # The address of the collector; the second one includes the path, such as /v1/traces.
    endpoint: Address | None = Field(default=None, repr=False, examples=["http://127.0.0.1:4318"])
    traces_endpoint: Address | None = Field(
        default=None, repr=False, examples=["http://127.0.0.1:4318/v1/traces"]
    )
    protocol: Literal["http/protobuf"] = "http/protobuf"
    traces_protocol: Literal["http/protobuf"] = "http/protobuf"


class Tracing(Part):
    """A part by which all processes of a project send traces."""

    def install(self, app: App) -> None:
        """Begin, if there is a collector.

        Raises:
            ConfigurationError: A setting is wrong.
        """
        settings = read(Settings)
        if settings.endpoint or settings.traces_endpoint:
            app.traces = OpenTelemetry(app)


class OpenTelemetry(Traces):
    """Follows what an app sends and runs.

    Args:
        app: The app.
    """

    def __init__(self, app: App) -> None:
        from opentelemetry import trace

        self.app = app
        self.tracer: Tracer = trace.get_tracer(__name__, tracer_provider=provider(app.main))
        task_prerun.connect(self.begin)
        task_postrun.connect(self.end)

    def around(self, send: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that sends a message within a span, and adds the span's id to it."""
        from opentelemetry import propagate, trace

        def send_in_span(producer: Any, name: str, message: Any, **options: Any) -> Any:
            queue = options.get("queue")
            queue = getattr(queue, "name", queue) or options.get("routing_key") or ""
            with self.tracer.start_as_current_span(
                f"send {name}",
                kind=trace.SpanKind.PRODUCER,
                attributes=self.attributes("send", name, queue, message.headers),
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                place: dict[str, str] = {}
                propagate.inject(place)
                message.headers.update(place)
                if options.get("headers"):  # which may hold those of the first try
                    options["headers"] = {**options["headers"], **place}
                try:
                    return send(producer, name, message, **options)
                except Exception as error:
                    note(span, error, failed=True)
                    raise

        return send_in_span

    def begin(self, task: Any, **_: Any) -> None:
        """Begin the span of a run; a handler of the signal `task_prerun`."""
        from opentelemetry import context, propagate, trace

        if task.app is not self.app:
            return
        request = task.request
        headers = request.headers or {}
        outer = propagate.extract(headers)
        queue = (request.delivery_info or {}).get("routing_key") or ""
        span = self.tracer.start_span(
            f"process {task.name}",
            outer,
            trace.SpanKind.CONSUMER,
            {
                **self.attributes("process", task.name, queue, {**headers, "id": request.id}),
                "celery.retries": request.retries or 0,
            },
        )
        request.trace_span = span, context.attach(trace.set_span_in_context(span, outer))

    def end(self, task: Any, state: str | None = None, retval: Any = None, **_: Any) -> None:
        """End the span of a run; a handler of the signal `task_postrun`."""
        from opentelemetry import context

        span, token = vars(task.request).pop("trace_span", (None, None))
        if span is None:
            return
        if state:
            span.set_attribute("celery.state", state)
        if isinstance(retval, BaseException):
            note(span, retval, failed=state == "FAILURE")
        span.end()
        context.detach(token)

    def attributes(self, operation: str, name: str, queue: str, headers: Any) -> dict[str, str]:
        """Return the attributes that the conventions name.

        Args:
            operation: `send` or `process`.
            name: The name of the task.
            queue: The name of the queue.
            headers: The headers of the message.
        """
        from .context import CORRELATION_ID_HEADER, current

        found = {
            "messaging.system": self.app.broker.name.lower(),
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "messaging.destination.name": queue.rpartition(".")[2],
            "messaging.message.id": str(headers.get("id") or ""),
            "celery.task_name": name,
        }
        conversation = headers.get(CORRELATION_ID_HEADER) or current().correlation_id
        if conversation:
            found["messaging.message.conversation_id"] = str(conversation)
        return found

    def web(self, api: Any, instrument: str) -> None:
        """Trace the requests of a web framework."""
        os.environ.setdefault("OTEL_PYTHON_EXCLUDED_URLS", NOT_TRACED)
        symbol_by_name(instrument)(api)

    def ids(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of the current trace and span, for a log line."""
        from opentelemetry import trace

        found = trace.get_current_span().get_span_context()
        if found.is_valid:
            yield "trace_id", trace.format_trace_id(found.trace_id)
            yield "span_id", trace.format_span_id(found.span_id)


def note(span: Span, error: BaseException, failed: bool) -> None:
    """Note an error in a span, without secrets.

    Args:
        span: The span.
        error: The error.
        failed: Whether what the span is about has failed.
    """
    from opentelemetry.trace import Status, StatusCode

    from .logs import redaction, rendering

    name, text = type(error).__name__, redaction.text(str(error))
    trace = rendering.formatted((type(error), error, error.__traceback__))
    span.add_event(
        "exception",
        {
            "exception.type": name,
            "exception.message": text,
            "exception.stacktrace": redaction.text(trace),
        },
    )
    if failed:
        span.set_status(Status(StatusCode.ERROR, f"{name}: {text}"))
        span.set_attribute("error.type", name)


def provider(package: str) -> Any:
    """Return what makes spans, which is one for the whole process; make it if there is none yet.

    Args:
        package: The name of the project's package.
    """
    from opentelemetry import trace
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    known = trace.get_tracer_provider()
    if not isinstance(known, trace.ProxyTracerProvider):
        return known
    name = {"service.name": package, "service.version": version(package)}
    resource = Resource.create().merge(Resource(name)).merge(OTELResourceDetector().detect())
    made = TracerProvider(resource=resource)
    made.add_span_processor(BatchSpanProcessor(exporter()))
    trace.set_tracer_provider(made)

    def flush(**_: Any) -> None:
        """Send the last spans of a process of a pool, which ends without `atexit`."""
        thread = threading.Thread(target=made.force_flush, daemon=True)
        thread.start()
        thread.join(LAST_SECONDS)  # the collector may be down

    worker_process_shutdown.connect(flush, weak=False)
    return made


def version(package: str) -> str:
    """Return the version of an installed package, or nothing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def exporter() -> Any:
    """Return what sends spans, over connections that no two processes share."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class OfThisProcess(SpanExporter):
        """Makes an exporter of its own in each process."""

        def __init__(self) -> None:
            self.process, self.exporter = os.getpid(), OTLPSpanExporter()

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            """Send spans."""
            if self.process != os.getpid():
                self.process, self.exporter = os.getpid(), OTLPSpanExporter()
            return self.exporter.export(spans)

        def shutdown(self) -> None:
            """Stop."""
            exporter: Any = self.exporter  # its types are incomplete
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            """Do nothing: there is no buffer here."""
            return True

    return OfThisProcess()
