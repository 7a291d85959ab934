"""What every store of dead letters must do."""

from collections.abc import Callable
from typing import Any

import pytest

from my_celery_project.runtime.letters import (
    letter,
    store,
)

DeadLetter = letter.DeadLetter
Store = store.Store


def periodic(number: int, day: int, failed: str = "check") -> DeadLetter:
    """Return a letter of a task that beat has sent."""
    headers: dict[str, Any] = {letter.PERIODIC_HEADER: "yes"}
    failed_at = f"2026-01-{day:02}T00:00:00.000000+00:00"
    return DeadLetter(failed, "t", "failed", args=[number], headers=headers, failed_at=failed_at)


def counts(store: Store) -> dict[str, tuple[int, str | None]]:
    """Return how often each letter has failed, and when for the last time, the newest first."""
    with store.open() as letters:
        return {letter.id: (letter.count, letter.last_failed_at) for letter in letters}


@pytest.fixture
def counts_and_trims() -> Callable[[Store], None]:
    """Return a test of an empty store: it counts what fails again, and lets the oldest go."""

    def check(store: Store) -> None:
        store.add(periodic(1, 1))
        assert counts(store) == {"check": (1, None)}
        for day in (2, 3):
            store.add(periodic(1, day))
        store.add(periodic(2, 4, "other"))
        last = periodic(1, 3).failed_at
        assert counts(store) == {"other": (1, None), "check": (3, last)}
        with store.open() as letters:
            letters.discard("check")
        assert counts(store) == {"other": (1, None)}
        store.add(periodic(1, 5))
        assert counts(store) == {"check": (1, None), "other": (1, None)}

        archived: list[DeadLetter] = []
        for number in range(6, 10):
            store.add(periodic(number, number, str(number)))
        day_5 = periodic(0, 5).failed_at
        assert store.trim(day_5, 10, archived.append) == 1
        assert list(counts(store)) == ["9", "8", "7", "6", "check"]
        assert store.trim(day_5, 3, archived.append) == 2
        assert list(counts(store)) == ["9", "8", "7"]
        assert store.trim(day_5, 3, archived.append) == 0
        assert [letter.id for letter in archived] == ["other", "check", "6"]
        assert archived[2] == periodic(6, 6, "6")

    return check
