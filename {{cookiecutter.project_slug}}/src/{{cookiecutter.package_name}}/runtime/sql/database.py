"""The project's database: one engine per process, one session per piece of work.

    with database.session() as session:
        account = session.get_one(Account, 7, with_for_update=True)
        account.balance -= 100
        database.send_on_commit(session, send_receipt.s(7))

The block is one transaction. It is committed when the block ends, which is before the task is
acknowledged, and rolled back if the block raises. Pass the session to the functions that need it;
never keep it in a global variable, and never share it with another thread or task.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.canvas import Signature
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker
from sqlalchemy.pool import NullPool

from .. import context
from ..resources import PerProcess
from . import postgresql, sqlite
from . import settings as config

#: How many tasks this process runs at once; a worker sets it before it starts (worker/checks.py).
#: A process of the prefork pool runs one; other programs, such as a web server, get the default.
tasks_at_once = 5


def prepare(pool: str, concurrency: int) -> None:
    """Size the connection pool for a worker before it opens connections.

    Args:
        pool: The name of the worker's pool.
        concurrency: How many tasks the worker runs at once, in all its processes.

    Raises:
        ConfigurationError: A setting of the database is wrong or missing.
    """
    global tasks_at_once
    tasks_at_once = 1 if pool in {"prefork", "solo"} else concurrency
    # So that wrong settings are reported when a worker starts, not by its first task.
    if config.load().address.get_backend_name() == "postgresql":
        postgresql.wait_in_greenlets(pool)


def connect() -> Engine:
    """Return an engine, which connects when it is first used.

    Its pool has a connection for each task that may run, and one for everything else.
    """
    settings = config.load()
    return make(
        pool_size=settings.pool_size or tasks_at_once,
        max_overflow=1,
        pool_timeout=settings.pool_timeout,
        # Replace a connection that was cut while nobody used it.
        pool_pre_ping=True,
    )


def check() -> None:
    """Check the database on a new connection, since those of the pool may be in use or hang.

    Raises:
        ConnectionError: The database does not answer.
    """
    engine = make(poolclass=NullPool)
    try:
        engine.connect().close()
    except SQLAlchemyError as error:
        raise ConnectionError(str(error)) from error
    finally:
        engine.dispose()


def make(**options: Any) -> Engine:
    """Return an engine for the database that the settings name.

    Args:
        options: Options of SQLAlchemy's `create_engine` for the connection pool.
    """
    settings = config.load()
    url = settings.address
    if url.get_backend_name() == "postgresql":
        options["connect_args"] = postgresql.arguments(settings)
    engine = create_engine(url, **options)
    if url.get_backend_name() == "sqlite":
        sqlite.lock_as_servers_do(engine)
    return engine


engine = PerProcess(connect, Engine.dispose)

#: Objects that were read stay readable after the session is closed.
Sessions = sessionmaker(expire_on_commit=False)


@contextmanager
def session() -> Iterator[Session]:
    """Yield a session with a transaction, and close both.

    Raises:
        sqlalchemy.exc.OperationalError: The database is unreachable, or refuses for now. In a task,
            this is a transient error.
        sqlalchemy.exc.TimeoutError: All connections of the process are in use.
    """
    with Sessions(bind=engine()) as session, session.begin():
        yield session


def send_on_commit(session: Session, task: Signature[Any]) -> None:
    """Send a task when the transaction is committed, and not at all if it is rolled back.

    Use it for tasks that need the rows. If the broker is unreachable at that moment, `session()`
    raises its error at the end of the block, and the task is not sent; use `outbox.add` for tasks
    that must not get lost.

    Args:
        session: The session of the transaction; rolling back a savepoint counts too.
        task: The task with its arguments, such as `send.s(7)`.
    """
    transaction = session.get_nested_transaction() or session.get_transaction()
    unsent = session.info.setdefault("unsent", [])
    unsent.append((transaction, context.current(), task))


def is_within(transaction: SessionTransaction | None, outer: SessionTransaction) -> bool:
    """Whether a transaction is the outer one itself, or a savepoint inside it."""
    while transaction is not None and transaction is not outer:
        transaction = transaction.parent
    return transaction is outer


@event.listens_for(Sessions, "after_soft_rollback")
def forget(session: Session, undone: SessionTransaction) -> None:
    """Drop the tasks of a transaction that is rolled back."""
    unsent = session.info.get("unsent", [])
    unsent[:] = [entry for entry in unsent if not is_within(entry[0], undone)]


@event.listens_for(Sessions, "after_commit")
def approve(session: Session) -> None:
    """Mark the waiting tasks as ready to send; releasing a savepoint calls this too."""
    if not session.in_nested_transaction():
        session.info["approved"] = session.info.pop("unsent", [])


@event.listens_for(Sessions, "after_transaction_end")
def send(session: Session, ended: SessionTransaction) -> None:
    """Send the tasks when the outermost transaction has ended and its connection is returned."""
    if ended.parent is None:
        session.info.pop("unsent", None)
        for _, current, task in session.info.pop("approved", []):
            with context.bind(*current):
                task.apply_async()
