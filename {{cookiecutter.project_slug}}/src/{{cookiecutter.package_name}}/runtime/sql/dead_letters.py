"""Dead letters in a table of the project's database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from celery import Celery
from sqlalchemy import CursorResult, delete, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from ..broker import scheme
from ..config.urls import MEMORY
from ..letters.files import FileStore
from ..letters.letter import DeadLetter
from ..letters.store import Store
from . import database
from .tables import Base

#: Rows that are read at once.
CHUNK = 200


class DeadLetterRow(Base):
    """A dead letter, with its replay if there was one."""

    __tablename__ = "dead_letter"

    id: Mapped[str] = mapped_column(primary_key=True)
    failed_at: Mapped[str] = mapped_column(index=True)
    #: Both are JSON.
    letter: Mapped[str]
    replay: Mapped[str | None]


class DeadLetters(Store):
    """A store with one row per dead letter; every operation is a transaction of its own."""

    errors = (SQLAlchemyError,)

    @classmethod
    def of(cls, app: Celery) -> Store:
        """Return the store of an app's dead letters."""
        return FileStore.of(app) if scheme(app) == MEMORY else cls()

    def add(self, letter: DeadLetter) -> None:
        """Store a dead letter; the first one with an id is kept, and periodic ones are counted."""
        row = DeadLetterRow(id=letter.id, failed_at=letter.failed_at, letter=letter.to_json())
        try:
            with database.session() as session:
                session.add(row)
        except IntegrityError:
            if self.get(letter.id) is None:
                raise
            if letter.is_periodic:
                count_again(letter)

    def trim(self, before: str, number: int, archive: Callable[[DeadLetter], object]) -> int:
        """Delete the oldest dead letters, at most `CHUNK`."""
        with database.session() as session:
            total = select(func.count()).select_from(DeadLetterRow)
            old = session.scalar(total.where(DeadLetterRow.failed_at < before)) or 0
            excess = min(max(old, (session.scalar(total) or 0) - number, 0), CHUNK)
            order = DeadLetterRow.failed_at, DeadLetterRow.id
            oldest = select(DeadLetterRow).order_by(*order).limit(excess)
            letters = [read(row) for row in session.scalars(oldest)]
        for letter in letters:
            archive(letter)
        return sum(self.discard(letter.id) for letter in letters)

    def count(self) -> int:
        """Return how many dead letters there are."""
        with database.session() as session:
            return session.scalar(select(func.count()).select_from(DeadLetterRow)) or 0

    def open(self) -> AbstractContextManager[DeadLetters]:
        """Return the store itself, since every operation is a transaction of its own."""
        return nullcontext(self)

    def __iter__(self) -> Iterator[DeadLetter]:
        order = DeadLetterRow.failed_at, DeadLetterRow.id
        descending = [column.desc() for column in order]
        newest = select(DeadLetterRow).order_by(*descending).limit(CHUNK)
        page = newest
        while True:
            with database.session() as session:
                rows = session.scalars(page).all()
            yield from map(read, rows)
            if len(rows) < CHUNK:
                return
            page = newest.where(tuple_(*order) < (rows[-1].failed_at, rows[-1].id))

    def get(self, letter_id: str) -> DeadLetter | None:
        """Return a dead letter with its history."""
        with database.session() as session:
            row = session.get(DeadLetterRow, letter_id)
        return read(row) if row else None

    def claim(self, letter_id: str, replay: dict[str, Any]) -> bool:
        """Record a replay, unless one is recorded already."""
        row = DeadLetterRow.id == letter_id, DeadLetterRow.replay.is_(None)
        return changes(update(DeadLetterRow).where(*row).values(replay=json.dumps(replay)))

    def release(self, letter_id: str) -> None:
        """Remove the record of a replay."""
        row = DeadLetterRow.id == letter_id
        changes(update(DeadLetterRow).where(row).values(replay=None))

    def discard(self, letter_id: str) -> bool:
        """Delete a dead letter; return whether it existed."""
        return changes(delete(DeadLetterRow).where(DeadLetterRow.id == letter_id))


def read(row: DeadLetterRow) -> DeadLetter:
    """Return the dead letter of a row with its history."""
    letter = DeadLetter.from_json(row.letter)
    return replace(letter, history=[json.loads(row.replay)]) if row.replay else letter


def count_again(letter: DeadLetter) -> None:
    """Count one more failure on the row of a dead letter."""
    with database.session() as session:
        row = session.get(DeadLetterRow, letter.id, with_for_update=True)
        if row:
            row.letter = DeadLetter.from_json(row.letter).again(1, letter.failed_at).to_json()


def changes(statement: Any) -> bool:
    """Return whether a statement has changed a row."""
    with database.session() as session:
        result = session.execute(statement)
        return isinstance(result, CursorResult) and result.rowcount > 0
