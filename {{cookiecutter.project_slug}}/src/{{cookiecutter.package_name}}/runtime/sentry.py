"""Errors in Sentry: one event for each task that failed for good, unless that was expected.

Expected errors are those that a task names in `throws`, such as `PermanentError`, and those after
which it is retried. An event has the name, id, queue and worker of the task, its correlation id and
tenant, and never its arguments; its texts are redacted like log lines. Without `SENTRY_DSN` nothing
is imported, and nothing is sent.
"""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, Any

from celery import bootsteps
from celery.signals import task_prerun, worker_process_init
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from . import context
from .config.environment import ConfigurationError, Variables, read
from .letters.messages import queue_of
from .observer import Observer
from .parts import Part

if TYPE_CHECKING:
    from .app import App

#: Errors that no task has raised: its process is gone, or it never began. Only the main process of
#: the worker knows of them.
NOT_RAISED = ("WorkerLostError", "TimeLimitExceeded", "TooManyCrashesError", "RunLostError")

#: Loggers that say what an event says already.
SAID = (f"{__package__}.logs.tasks", "celery.worker.request", "multiprocessing")

#: The parts of an event that may hold texts of others.
TEXTS = ("breadcrumbs", "contexts", "exception", "extra", "logentry", "message", "request", "spans")


class Settings(Variables):
    """Where errors are sent; the variables have Sentry's own names."""

    model_config = SettingsConfigDict(env_prefix="SENTRY_")

    # The address of the project at Sentry, or at a server that speaks its protocol.
    dsn: SecretStr | None = None
    # By default, APP_ENV.
    environment: str = ""
    # By default, the name and the version of the project.
    release: str = ""
    # Which part of tasks and requests is sent as a trace, from 0 to 1; by default, none.
    traces_sample_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    # Whether beat tells that it has sent a periodic task, and the worker how that ended. Each is
    # then a monitor at Sentry.
    monitor_beat: bool = True


class Sentry(Part):
    """A part that sends errors of all processes of a project to Sentry.

    Args:
        options: More options of `sentry_sdk.init`.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    def install(self, app: App) -> None:
        """Begin, if there is an address.

        Raises:
            ConfigurationError: A setting is wrong.
        """
        settings = read(Settings)
        if settings.dsn:
            begin({**options(app, settings, settings.dsn.get_secret_value()), **self.options})
            app.steps["worker"].add(f"{__name__}:Failures")


def options(app: App, settings: Settings, dsn: str) -> dict[str, Any]:
    """Return the options of `sentry_sdk.init`."""
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.celery import CeleryIntegration

    return {
        "dsn": dsn,
        "environment": settings.environment or os.environ.get("APP_ENV") or "development",
        "release": settings.release or release(app.main),
        "traces_sample_rate": settings.traces_sample_rate,
        # Both would show arguments of tasks.
        "include_local_variables": False,
        "max_request_body_size": "never",
        "before_send": redacted,
        "before_send_transaction": redacted,
        "integrations": [
            CeleryIntegration(monitor_beat_tasks=settings.monitor_beat),
            AtexitIntegration(callback=say_nothing),
        ],
    }


def say_nothing(pending: int, timeout: float) -> None:
    """Write nothing to the log at the end of a process, where a line might have to be JSON."""


def redacted(event: Any, _: Any) -> Any:
    """Return an event without secrets in its texts."""
    from .logs import redaction

    def shown(value: Any) -> Any:
        if isinstance(value, str):
            return redaction.text(value)
        if isinstance(value, dict):
            return {
                name: redaction.HIDDEN if redaction.is_secret(str(name)) else shown(inner)
                for name, inner in value.items()
            }
        return [shown(inner) for inner in value] if isinstance(value, list | tuple) else value

    return {name: shown(value) if name in TEXTS else value for name, value in event.items()}


def release(name: str) -> str | None:
    """Return the name and the version of an installed package."""
    try:
        return f"{name}@{metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return None


def begin(options: dict[str, Any]) -> None:
    """Send errors of this process and its children from now on.

    Raises:
        ConfigurationError: An option is wrong.
    """
    import sentry_sdk
    from sentry_sdk.integrations.logging import ignore_logger
    from sentry_sdk.utils import BadDsn

    def connect(**_: Any) -> None:
        sentry_sdk.init(**options)

    try:
        connect()
    except BadDsn:
        raise ConfigurationError(
            "SENTRY_DSN is wrong: use a URL such as https://key@o1.ingest.sentry.io/1"
        ) from None
    for name in SAID:
        ignore_logger(name)
    task_prerun.connect(describe, weak=False)
    # A process of a pool must not use the connections of the process that has made it.
    worker_process_init.connect(connect, weak=False)


def describe(task: Any, **_: Any) -> None:
    """Let the events of a task tell which one it is; a handler of `task_prerun`."""
    import sentry_sdk

    request = task.request
    tags = about(request.delivery_info, context.current())
    sentry_sdk.get_isolation_scope().set_tags({**tags, "worker": request.hostname})
    sentry_sdk.get_isolation_scope().set_tag("attempt", (request.retries or 0) + 1)


def about(delivery_info: Any, of: context.Context) -> dict[str, str]:
    """Return what an event tells about where a task came from."""
    tags = {"queue": queue_of(delivery_info or {}, {})}
    if of.correlation_id:
        tags["correlation_id"] = of.correlation_id
    if of.tenant:
        tags["tenant"] = of.tenant
    return tags


class Failures(bootsteps.Step):
    """A bootstep by which the main process of a worker sends failures that no task has raised."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        parent.app.observe(Lost())


class Lost(Observer):
    """Sends failures that no task has raised."""

    def note(self, request: Any, event: str) -> None:
        """Send the failure of a task whose process was lost, or that killed too many workers."""
        error = getattr(request.error, "reason", None) or request.error
        if event != "task-failed" or type(error).__name__ not in NOT_RAISED:
            return
        import sentry_sdk

        headers = request.request_dict
        found = context.of_message(headers, headers.get("root_id") or request.id)
        with sentry_sdk.new_scope() as scope:
            scope.set_transaction_name(request.name)
            scope.set_tags({"celery_task_id": request.id, **about(request.delivery_info, found)})
            scope.set_tag("worker", request.hostname or "")
            sentry_sdk.capture_exception(error)
