"""What people have to be told, counted in Redis."""

from __future__ import annotations

from typing import Any

import pytest
from fakeredis import FakeRedis

from my_celery_project.runtime.notices.place import Failures, Kind, State
from my_celery_project.runtime.redis.notices import Place

MAIL = Kind("mail.send", "ValueError", "failed")
OTHER = Kind("other", "KeyError", "failed")


@pytest.fixture
def client() -> Any:
    return FakeRedis()


@pytest.fixture
def place(client: Any) -> Place:
    return Place(client)


def test_failures_are_counted_until_they_were_told(place: Place, client: Any) -> None:
    for number in range(3):
        place.add(MAIL, f"text {number}", str(number))
    told = place.counted()
    assert told == {MAIL: Failures(3, "text 2", "2")}
    place.add(MAIL, "text 3", "3")
    place.add(OTHER, "", "4")
    notice = {"subject": "s", "text": "t", "channels": ["mail"]}
    place.save(State(told={"a": "b"}, notice=notice), told)
    assert place.counted() == {MAIL: Failures(1, "text 3", "3"), OTHER: Failures(1, "", "4")}
    again = Place(client)
    assert (again.load().told, again.load().notice) == ({"a": "b"}, notice)
    place.save(State(), place.counted())
    assert not place.counted()
    assert not client.hgetall(place.last)


def test_one_process_leads_until_it_is_silent(place: Place, client: Any) -> None:
    other = Place(client)
    assert place.lead("one", 30)
    assert not other.lead("two", 30)
    assert place.lead("one", 0.001)
    client.delete(place.leader)
    assert other.lead("two", 30)
    assert not place.lead("one", 30)


def test_nothing_is_known_at_first(place: Place) -> None:
    assert place.load() == State()
    assert place.last_tick() is None
    place.ticked(12.5)
    assert place.last_tick() == 12.5
