"""Dead letters in files, for tests, and for RabbitMQ's projects on a machine without RabbitMQ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from .letter import DeadLetter
from .store import Store

if TYPE_CHECKING:
    from celery import Celery

FOLDER = Path(".celery") / "dead-letters"


class FileStore(Store):
    """A folder with up to three files per dead letter: what failed, its replay, its repeats."""

    errors = (OSError,)

    @classmethod
    def of(cls, app: Celery) -> FileStore:
        """Return the store of a developer's machine."""
        return cls(FOLDER)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, letter_id: str, kind: str) -> Path:
        """Return a file of a dead letter; an id from a message cannot point outside the folder."""
        return self.folder / f"{quote(letter_id, safe='')}.{kind}"

    def add(self, letter: DeadLetter) -> None:
        """Store a dead letter; it is written aside first, so that nobody reads half of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / f"{uuid4()}.part"
        aside.write_text(letter.to_json(), encoding="utf-8")
        try:
            self.path(letter.id, "letter").hardlink_to(aside)
        except FileExistsError:
            if letter.is_periodic:
                with self.path(letter.id, "repeats").open("a", encoding="utf-8") as repeats:
                    repeats.write(f"{letter.failed_at}\n")
        aside.unlink()

    def trim(self, before: str, number: int, archive: Callable[[DeadLetter], object]) -> int:
        """Delete the oldest dead letters."""
        letters = list(self)
        excess = len(letters) - number
        oldest = [
            letter
            for position, letter in enumerate(reversed(letters))
            if position < excess or letter.failed_at < before
        ]
        for letter in oldest:
            archive(letter)
            self.discard(letter.id)
        return len(oldest)

    def count(self) -> int:
        """Return how many dead letters there are."""
        return sum(1 for _ in self.folder.glob("*.letter"))

    def open(self) -> AbstractContextManager[FileStore]:
        """Return the store itself: files need no connection."""
        return nullcontext(self)

    def __iter__(self) -> Iterator[DeadLetter]:
        letters = [self.read(path) for path in self.folder.glob("*.letter")]
        yield from sorted(letters, key=lambda letter: letter.failed_at, reverse=True)

    def read(self, path: Path) -> DeadLetter:
        """Return a dead letter with its history."""
        letter = DeadLetter.from_json(path.read_text(encoding="utf-8"))
        repeats = path.with_suffix(".repeats")
        if repeats.exists():
            times = repeats.read_text(encoding="utf-8").split()
            letter = letter.again(len(times), times[-1])
        replayed = path.with_suffix(".replay")
        if not replayed.exists():
            return letter
        return replace(letter, history=[json.loads(replayed.read_text(encoding="utf-8"))])

    def get(self, letter_id: str) -> DeadLetter | None:
        """Return a dead letter with its history."""
        path = self.path(letter_id, "letter")
        return self.read(path) if path.exists() else None

    def claim(self, letter_id: str, replay: dict[str, Any]) -> bool:
        """Record a replay, unless one is recorded already."""
        try:
            with self.path(letter_id, "replay").open("x", encoding="utf-8") as file:
                json.dump(replay, file)
        except FileExistsError:
            return False
        return True

    def release(self, letter_id: str) -> None:
        """Remove the record of a replay."""
        self.path(letter_id, "replay").unlink(missing_ok=True)

    def discard(self, letter_id: str) -> bool:
        """Delete a dead letter; return whether it existed."""
        path = self.path(letter_id, "letter")
        existed = path.exists()
        path.unlink(missing_ok=True)
        self.path(letter_id, "repeats").unlink(missing_ok=True)
        self.release(letter_id)
        return existed
