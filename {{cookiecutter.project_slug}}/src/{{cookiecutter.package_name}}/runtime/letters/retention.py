"""How many dead letters are kept, and for how long: a store that may not evict fills up otherwise.

A worker looks after it when it writes a letter. What goes is appended to the archive, if there is
one, as a line of JSON that `DeadLetter.from_json` reads; otherwise it is dropped. Both are logged
with their number.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from time import monotonic

from celery.utils.log import get_logger
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from ..config.environment import Variables, read
from ..config.values import Count
from .letter import DeadLetter, timestamp
from .store import Store

logger = get_logger(__name__)

PREFIX = "APP_DEAD_LETTERS_"

#: Seconds between two looks of a process, and letters after which it looks earlier. The second is
#: less than a store deletes at once (`CHUNK`), so that no flood of letters outruns it.
INTERVAL = 60
LETTERS = 100


class Settings(Variables):
    """Variables that begin with `APP_DEAD_LETTERS_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    max_age_days: float = Field(default=90, gt=0, le=36_500)
    max_number: Count = 100_000
    # A file to which the oldest letters are appended before they are deleted.
    archive: Path | None = None

    @field_validator("archive")
    @classmethod
    def check_archive(cls, path: Path | None) -> Path | None:
        """Refuse a file that nothing can be appended to: then nothing would be deleted either."""
        place = path.parent if path and not path.exists() else path
        if path and place and (path.is_dir() or not os.access(place, os.W_OK)):
            raise ValueError("name a file that this process can write, in a folder that exists")
        return path


@cache
def settings() -> Settings:
    """Return the settings, read once.

    Raises:
        ConfigurationError: A value is wrong.
    """
    return read(Settings)


class Watch:
    """When this process looked for the last time, and how many letters it has written since."""

    looked_at = float("-inf")
    letters = 0

    def is_due(self) -> bool:
        """Count a letter, and return whether it is time to look."""
        self.letters += 1
        if self.letters < LETTERS and monotonic() < self.looked_at + INTERVAL:
            return False
        self.looked_at, self.letters = monotonic(), 0
        return True


watch = Watch()


def keep_limits(store: Store) -> None:
    """Delete the oldest letters where there are too many, now and then; never fail."""
    if not watch.is_due():
        return
    limits = settings()
    before = timestamp(datetime.now(UTC) - timedelta(days=limits.max_age_days))
    try:
        gone = store.trim(before, limits.max_number, archive)
    except Exception as error:
        logger.warning("Could not delete old dead letters, will try again: %s", error)
        return
    if gone:
        logger.warning(
            "%d dead letters older than %g days or beyond %d were %s",
            gone,
            limits.max_age_days,
            limits.max_number,
            f"moved to {limits.archive}" if limits.archive else "deleted",
        )


def archive(letter: DeadLetter) -> None:
    """Append a letter to the archive, if there is one."""
    if path := settings().archive:
        with path.open("a", encoding="utf-8") as file:
            file.write(letter.to_json() + "\n")
