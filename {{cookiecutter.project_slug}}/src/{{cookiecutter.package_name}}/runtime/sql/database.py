"""The project's database: an engine for each process, a session for each piece of work.

    with database.session() as session:
        account = session.get_one(Account, 7, with_for_update=True)
        account.balance -= 100
        database.send_on_commit(session, send_receipt.s(7))

The block is one transaction. It is committed when the block ends, so before the task is
acknowledged, and undone when the block raises. Hand the session to what needs it; never keep it in
a global, and never give it to another thread or task.
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
#: Children of the prefork pool run one, and what is no worker, such as a web server, is given some.
tasks_at_once = 5


def prepare(pool: str, concurrency: int) -> None:
    """Take in what only a worker knows, before it opens connections.

    Args:
        pool: The name of its pool.
        concurrency: How many tasks it runs at once, in all of its processes.

    Raises:
        ConfigurationError: A setting of the database is wrong or missing.
    """
    global tasks_at_once
    tasks_at_once = 1 if pool in {"prefork", "solo"} else concurrency
    # What is wrong with the settings is told when a worker starts, not by its first task.
    if config.load().address.get_backend_name() == "postgresql":
        postgresql.wait_in_greenlets(pool)


def connect() -> Engine:
    """Return an engine, which connects when it is first used.

    Its pool has a connection for each task that may run, and one for what else the process does.
    """
    settings = config.load()
    return make(
        pool_size=settings.pool_size or tasks_at_once,
        max_overflow=1,
        pool_timeout=settings.pool_timeout,
        # A connection that was cut while nobody used it is replaced, not handed out.
        pool_pre_ping=True,
    )


def check() -> None:
    """Connect anew: those of the pool may be in use, or may hang together with their server.

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
        options: How it keeps connections, as SQLAlchemy's `create_engine` takes it.
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

#: What has been read stays readable when the session is closed.
Sessions = sessionmaker(expire_on_commit=False)


@contextmanager
def session() -> Iterator[Session]:
    """Yield a session with a transaction, and close both.

    Raises:
        sqlalchemy.exc.OperationalError: The database is away, or refuses for now. In a task it is a
            transient error.
        sqlalchemy.exc.TimeoutError: All connections of the process are in use.
    """
    with Sessions(bind=engine()) as session, session.begin():
        yield session


def send_on_commit(session: Session, task: Signature[Any]) -> None:
    """Send a task when the transaction is committed, and never if it is undone.

    For what needs the rows to be there. If the broker is away then, `session()` raises its error at
    the end of its block, and the task is not sent: `outbox.add` is for what must not get lost.

    Args:
        session: The session whose transaction is meant; a rolled back savepoint counts.
        task: The task with its arguments, such as `send.s(7)`.
    """
    transaction = session.get_nested_transaction() or session.get_transaction()
    unsent = session.info.setdefault("unsent", [])
    unsent.append((transaction, context.current(), task))


def is_within(transaction: SessionTransaction | None, outer: SessionTransaction) -> bool:
    """Whether a transaction is another one, or a savepoint in it."""
    while transaction is not None and transaction is not outer:
        transaction = transaction.parent
    return transaction is outer


@event.listens_for(Sessions, "after_soft_rollback")
def forget(session: Session, undone: SessionTransaction) -> None:
    """Drop what was to be sent from a transaction that is undone."""
    unsent = session.info.get("unsent", [])
    unsent[:] = [entry for entry in unsent if not is_within(entry[0], undone)]


@event.listens_for(Sessions, "after_commit")
def approve(session: Session) -> None:
    """Note that what waits may be sent; the release of a savepoint comes here too."""
    if not session.in_nested_transaction():
        session.info["approved"] = session.info.pop("unsent", [])


@event.listens_for(Sessions, "after_transaction_end")
def send(session: Session, ended: SessionTransaction) -> None:
    """Send when the outermost transaction has ended, and its connection is given back."""
    if ended.parent is None:
        session.info.pop("unsent", None)
        for _, current, task in session.info.pop("approved", []):
            with context.bind(*current):
                task.apply_async()
