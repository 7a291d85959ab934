"""The configuration of logging: one for every kind of process."""

from __future__ import annotations

import logging.config
import sys
from typing import Any

import structlog
from celery.signals import task_postrun, task_prerun

from ..config.environment import read
from . import loggers, printed
from .installing import Logger
from .settings import Format, Settings

#: Where lines go: not `sys.stderr`, which a worker makes a logger too.
STREAM = "ext://sys.__stderr__"

#: What Celery says about each task, which our own line at its end says as well. Celery looks at the
#: level when a worker starts, and then does not even prepare its lines.
TOLD_ELSEWHERE = ("celery.app.trace", "celery.worker.strategy")

#: Loggers for which their servers, or Celery, make handlers of their own.
OTHERS = (
    *("celery", "celery.task", "celery.redirected", "django", "django.server"),
    *("gunicorn.error", "gunicorn.access", "uvicorn", "uvicorn.error", "uvicorn.access"),
)


def configuration(
    default: Format, level: int | str | None = None, file: str | None = None
) -> dict[str, Any]:
    """Return the configuration, as `logging.config.dictConfig` takes it.

    Args:
        default: The format, unless APP_LOG_FORMAT names one.
        level: The level; by default, that of APP_LOG_LEVEL.
        file: The path of a file to write to, instead of the standard error.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    settings = read(Settings)
    handler = {"class": "logging.StreamHandler", "stream": STREAM}
    if file:
        handler = {"class": "logging.handlers.WatchedFileHandler", "filename": file}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": f"{__package__}.rendering.formatter",
                "format": settings.format or default,
            }
        },
        "handlers": {"lines": {**handler, "formatter": "lines"}},
        "root": {"handlers": ["lines"], "level": level or settings.level},
        "loggers": {
            **{name: {"handlers": [], "propagate": True} for name in OTHERS},
            **{name: {"level": "WARNING"} for name in TOLD_ELSEWHERE},
        },
    }


def writes_json(default: Format) -> bool:
    """Return whether a process writes JSON once its log is configured.

    Args:
        default: The format, unless APP_LOG_FORMAT names one.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    return (read(Settings).format or default) == "json"


def set_up(default: Format, level: int | str | None = None, file: str | None = None) -> None:
    """Configure the loggers of the standard library and of structlog; the arguments are the same.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    logging.config.dictConfig(configuration(default, level, file))
    logging.captureWarnings(True)
    bind_structlog()


def bind_structlog() -> None:
    """Let the lines of structlog go through the loggers of the standard library."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.render_to_log_args_and_kwargs,
        ],
        wrapper_class=loggers.Bound,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logging.setLoggerClass(Logger)  # structlog's factory has set its own


def unless_configured(default: Format) -> None:
    """Configure the log of a web process, unless somebody else has, such as a test.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    if not logging.getLogger().handlers:
        set_up(default)


def for_celery(loglevel: int | None = None, logfile: str | None = None, **_: Any) -> None:
    """Configure the log of a worker or of beat; a handler of the signal `setup_logging`."""
    from celery import current_app

    app: Any = current_app
    set_up(app.settings.log_format, loglevel, logfile)
    if app.conf.worker_redirect_stdouts:
        printed.redirect()
        task_postrun.connect(printed.end_line, weak=False)
    if writes_json(app.settings.log_format):
        # Celery writes to it what it says about a shutdown, if it has a file descriptor.
        sys.__stdout__ = sys.stdout  # type: ignore[assignment, misc]
    task_prerun.connect(forget, weak=False)


def forget(**_: Any) -> None:
    """Forget what an earlier task of this thread has bound; a handler of `task_prerun`."""
    structlog.contextvars.clear_contextvars()
