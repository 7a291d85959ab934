"""Limits on the number and age of dead letters, so that their store does not fill up.

A worker checks the limits when it writes a dead letter. Those beyond the limits are appended to the
archive, if there is one, as lines of JSON that `DeadLetter.from_json` reads, and then deleted. The
worker logs how many there were.
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

#: Seconds between two checks of a process, and the number of dead letters after which it checks
#: earlier. That number is less than a store deletes at once (`CHUNK`), so that a flood of dead
#: letters cannot outrun the deletion.
INTERVAL = 60
LETTERS = 100


class Settings(Variables):
    """Variables that begin with `APP_DEAD_LETTERS_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    max_age_days: float = Field(default=90, gt=0, le=36_500)
    max_number: Count = 100_000
    # A file to which the oldest dead letters are appended before they are deleted.
    archive: Path | None = None

    @field_validator("archive")
    @classmethod
    def check_archive(cls, path: Path | None) -> Path | None:
        """Refuse a file that cannot be appended to: nothing would be archived or deleted."""
        place = path.parent if path and not path.exists() else path
        if path and place and (path.is_dir() or not os.access(place, os.W_OK)):
            raise ValueError(
                "give the path of a file that this process can write, in a folder that exists"
            )
        return path


@cache
def settings() -> Settings:
    """Return the settings, read once.

    Raises:
        ConfigurationError: A value is wrong.
    """
    return read(Settings)


class Watch:
    """When this process last checked the limits, and how many dead letters it wrote since."""

    looked_at = float("-inf")
    letters = 0

    def is_due(self) -> bool:
        """Count a dead letter, and return whether it is time to check the limits."""
        self.letters += 1
        if self.letters < LETTERS and monotonic() < self.looked_at + INTERVAL:
            return False
        self.looked_at, self.letters = monotonic(), 0
        return True


watch = Watch()


def keep_limits(store: Store) -> None:
    """Check the limits now and then, and delete the oldest dead letters; never raise an error."""
    if not watch.is_due():
        return
    limits = settings()
    before = timestamp(datetime.now(UTC) - timedelta(days=limits.max_age_days))
    try:
        gone = store.trim(before, limits.max_number, archive)
    except Exception as error:
        logger.warning("Could not delete old dead letters, will try again later: %s", error)
        return
    if gone:
        logger.warning(
            "%d dead letters that were older than %g days or in excess of %d have been %s",
            gone,
            limits.max_age_days,
            limits.max_number,
            f"moved to {limits.archive}" if limits.archive else "deleted",
        )


def archive(letter: DeadLetter) -> None:
    """Append a dead letter to the archive, if there is one."""
    if path := settings().archive:
        with path.open("a", encoding="utf-8") as file:
            file.write(letter.to_json() + "\n")
