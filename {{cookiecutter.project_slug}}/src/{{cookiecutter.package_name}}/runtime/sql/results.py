"""Results in the project's database: Celery's backend, on the engine of `database.py`.

Celery's own engines are pooled in the children of the prefork pool only: every other process, and
every thread and greenlet of it, would make an engine and a connection for each look at a result
(celery/backends/database/session.py, `get_engine`). And it creates tables when it is first used,
which processes that start together do at the same moment; here migrations have made them.
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
        """Return the engine, and what makes sessions."""
        return database.engine(), sessionmaker(bind=database.engine())

    def prepare_models(self, engine: Engine) -> None:
        """Rely on the migrations."""

    def invalidate(self, dburi: str) -> None:
        """Keep the engine after an error: its pool replaces what is broken."""


class Results(DatabaseBackend):
    """The result backend."""

    def __init__(self, *_: Any, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dburi": config.load().address.render_as_string()})
        self.session_manager = Sessions()

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Whether it may work later; a table that is not there does not come by itself."""
        retryable = super().exception_safe_to_retry(exc)
        return bool(retryable) and not isinstance(exc, ProgrammingError)

    def _create_tables(self) -> None:
        """Rely on the migrations."""

    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **kwargs: Any) -> Any:
        """Keep how a task has ended, of which an earlier try may not know.

        A try publishes the next one before it writes that there will be one. The next one may have
        ended by then, and a chord would wait for it for ever.
        """
        if state == states.RETRY and self.get_state(task_id) in states.READY_STATES:
            return result
        return super().store_result(task_id, result, state, *args, **kwargs)
