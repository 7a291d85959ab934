"""Dead letters in the database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from my_celery_project import config
from my_celery_project.celery import create_app
from my_celery_project.runtime.letters.letter import (
    DeadLetter,
)
from my_celery_project.runtime.letters.store import (
    Store,
    store_of,
)
from my_celery_project.runtime.sql import (
    dead_letters,
)

pytestmark = pytest.mark.usefixtures("tables")

LETTER = DeadLetter(id="7", task="reports.totals", reason="failed", args=[1, "ä"])
REPLAY = {"at": "2026-03-29T00:00:00", "by": "ann", "as_id": "8"}


@pytest.fixture
def store() -> dead_letters.DeadLetters:
    """Return a store with a letter."""
    store = dead_letters.DeadLetters()
    store.add(LETTER)
    return store


def test_an_app_on_a_server_has_its_letters_in_the_table() -> None:
    app = create_app(config.ENVIRONMENTS["testing"](broker_url="amqp://127.0.0.1:1//"))
    assert isinstance(store_of(app), dead_letters.DeadLetters)


def test_the_first_letter_of_an_id_stays(store: dead_letters.DeadLetters) -> None:
    store.add(replace(LETTER, text="written again"))
    assert list(store) == [LETTER]
    assert store.get("7") == LETTER
    assert store.get("8") is None


def test_of_those_who_claim_a_replay_one_gets_it(store: dead_letters.DeadLetters) -> None:
    with ThreadPoolExecutor(4) as threads:
        claims = list(threads.map(lambda _: store.claim("7", REPLAY), range(8)))
    assert sorted(claims) == [False] * 7 + [True]
    assert store.get("7") == replace(LETTER, history=[REPLAY])
    store.release("7")
    assert store.get("7") == LETTER
    assert not store.claim("8", REPLAY)


def test_a_discarded_letter_is_gone(store: dead_letters.DeadLetters) -> None:
    assert store.discard("7")
    assert not store.discard("7")
    assert list(store) == []


def test_all_are_listed_the_newest_first(
    store: dead_letters.DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "CHUNK", 4)
    store.discard("7")
    moments = ["2026-01-02", "2026-01-01", "2026-01-03", "2026-01-01", "2026-01-01", "2026-01-02"]
    for number, moment in enumerate(moments):
        store.add(replace(LETTER, id=str(number), failed_at=moment))
    with store.open() as letters:
        assert [letter.id for letter in letters] == ["2", "5", "0", "4", "3", "1"]


def test_failures_are_counted_and_the_oldest_letters_go(
    counts_and_trims: Callable[[Store], None],
) -> None:
    counts_and_trims(dead_letters.DeadLetters())
