"""Results in the project's database: Celery's backend on the engine of `database.py`.

Celery pools connections only in the processes of the prefork pool. Every other process, with every
thread and greenlet in it, would make an engine and a connection for each look at a result
(celery/backends/database/session.py, `get_engine`). Celery also creates tables on first use, which
processes that start together would do at the same moment; here migrations create them.
"""

from __future__ import annotations

from typing import Any

from celery import states
from celery.backends.database import DatabaseBackend
from celery.backends.database.session import SessionManager
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session, sessionmaker

from . import database
from . import settings as config


class Sessions(SessionManager):
    """Sessions on the engine of this process."""

    def create_session(self, *_: Any, **__: Any) -> tuple[Engine, sessionmaker[Session]]:
        """Return the engine and a session factory."""
        return database.engine(), sessionmaker(bind=database.engine())

    def prepare_models(self, engine: Engine) -> None:
        """Do nothing: migrations create the tables."""

    def invalidate(self, dburi: str) -> None:
        """Keep the engine after an error, because its pool replaces broken connections."""


class Results(DatabaseBackend):
    """The result backend."""

    def __init__(self, *_: Any, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dburi": config.load().address.render_as_string()})
        self.session_manager = Sessions()

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Whether another try may help; it does not if a table is missing."""
        retryable = super().exception_safe_to_retry(exc)
        return bool(retryable) and not isinstance(exc, ProgrammingError)

    def _create_tables(self) -> None:
        """Do nothing: migrations create the tables."""

    def _update_result(self, task: Any, result: Any, state: str, **kwargs: Any) -> None:
        """Do not let a late `RETRY` overwrite the final state of a task, whose row is locked.

        A run that retries publishes the next run before it writes `RETRY`. The next run may have
        ended by then, and a chord would wait for its final state for ever.
        """
        if state != states.RETRY or task.status not in states.READY_STATES:
            super()._update_result(task, result, state, **kwargs)  # type: ignore[misc]
