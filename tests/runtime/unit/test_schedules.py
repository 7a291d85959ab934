import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.schedules import crontab, schedule, solar
from click.testing import CliRunner
from fakeredis import FakeRedis, FakeServer
from redbeat.schedulers import REDBEAT_REDIS_KEY

from my_celery_project.celery import app
from my_celery_project.queues import QueueName
from my_celery_project.runtime.beat import schedules
from my_celery_project.runtime.beat.redbeat import (
    Scheduler,
)
from my_celery_project.runtime.cli import (
    schedule as cli,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRedis]:
    """Keep schedules in a Redis in memory, where a beat has run."""
    client = FakeRedis(server=FakeServer(), decode_responses=True)
    monkeypatch.setattr(app, REDBEAT_REDIS_KEY, client, raising=False)
    beat = Scheduler(app)
    beat.tick()
    beat.close()
    yield client
    client.close()


def add(**changes: Any) -> schedules.Schedule:
    """Add what is right but for the changes."""
    right = {
        "name": "mine",
        "task": "heartbeat.beat",
        "when": crontab(minute="*/5"),
        "queue": QueueName.BULK,
        "expires": MINUTE,
    }
    return schedules.add(**{**right, **changes})


def listed(name: str) -> schedules.Schedule:
    """Return what is listed under a name."""
    (found,) = (entry for entry in schedules.entries() if entry.name == name)
    return found


@pytest.mark.parametrize(
    "when", [crontab(hour="2", minute="0"), schedule(600.0), solar("sunset", 52.5, 13.4)], ids=repr
)
def test_a_schedule_is_kept_as_it_was_added(when: schedules.When) -> None:
    before = datetime.now(UTC)
    added = add(when=when, args=[1], kwargs={"user_id": 7})
    assert added == listed("mine")
    assert added.when == when
    assert (added.queue, added.expires, added.kwargs) == ("bulk", 60, {"user_id": 7})
    assert added.enabled
    assert not added.in_code
    assert added.next_run
    assert before < added.next_run < before + timedelta(hours=25)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"task": "heartbeat.baet"}, "there is no task 'heartbeat.baet'"),
        ({"queue": "bluk"}, "there is no queue 'bluk': use one of critical, "),
        ({"name": "heartbeat"}, "'heartbeat' is used in the code"),
        ({"name": ":lock"}, "the name ':lock' is not allowed"),
        ({"when": {"hour": 2}}, "{'hour': 2} is not a valid schedule"),
        ({"when": 60}, "60 is not a valid schedule"),
        ({"when": schedule(0.5)}, "must be at least 1 s"),
        ({"expires": timedelta(0)}, "above 0 s and below 300 s"),
        ({"expires": timedelta(minutes=5)}, "above 0 s and below 300 s"),
        ({"when": crontab(minute="0,1", hour="3"), "expires": MINUTE}, "below 60 s"),
        ({"when": schedule(60), "expires": MINUTE}, "below 60 s"),
        ({"when": solar("sunset", 52, 13), "expires": timedelta(days=2)}, "below 8"),
        ({"kwargs": {"user": object()}}, "are not valid JSON"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(changes: Any, sentence: str) -> None:
    before = schedules.entries()
    with pytest.raises(schedules.ScheduleError) as error:
        add(**changes)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    assert schedules.entries() == before


def test_a_name_is_used_once() -> None:
    add()
    with pytest.raises(schedules.ScheduleError, match="already: remove it first"):
        add()
    schedules.remove("mine")
    add()


def test_what_was_missed_in_a_pause_is_not_made_up_for() -> None:
    add()
    schedules.find("mine").reschedule(datetime.now(UTC) - timedelta(days=1))
    schedules.pause("mine")
    assert (listed("mine").enabled, listed("mine").next_run) == (False, None)
    schedules.resume("mine")
    next_run = listed("mine").next_run
    assert next_run
    assert next_run > datetime.now(UTC)
    schedules.resume("mine")
    assert listed("mine").next_run == next_run


def test_a_schedule_is_removed_unless_the_code_has_it(client: FakeRedis) -> None:
    keys = set(client.keys())
    add()
    schedules.remove("mine")
    assert set(client.keys()) == keys
    with pytest.raises(schedules.ScheduleError, match="is defined in the code"):
        schedules.remove("heartbeat")
    for change in (schedules.pause, schedules.resume, schedules.remove):
        with pytest.raises(schedules.ScheduleError, match="there is no schedule 'mine'"):
            change("mine")


def test_what_a_beat_wrote_after_a_removal_is_ignored(client: FakeRedis) -> None:
    add()
    entry = schedules.find("mine")
    entry.last_run_at -= timedelta(days=1)
    schedules.remove("mine")
    next(entry)  # by a beat that had read it before
    assert "mine" not in [entry.name for entry in schedules.entries()]
    assert add(when=schedule(3600)).next_run == listed("mine").next_run
    assert listed("mine").next_run > datetime.now(UTC) + timedelta(minutes=59)  # type: ignore[operator]


def run(*words: str) -> str:
    """Run the command, which must succeed, and return what it prints."""
    result = CliRunner().invoke(cli.schedule, words, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("option", "value", "when"),
    [
        ("--every", "5m", "freq: 5.00 minutes"),
        ("--crontab", "*/10 3 * * 1", "crontab: */10 3 * * 1 (m/h/dM/MY/d)"),
        ("--solar", "sunset,52.5,13.4", "solar: sunset at latitude 52.5, longitude: 13.4"),
    ],
)
def test_the_command_adds_shows_and_changes(option: str, value: str, when: str) -> None:
    right = ["mine", "heartbeat.beat", "--queue", "bulk", "--expires", "1m"]
    assert "mine runs next at 20" in run("add", *right, option, value, "--kwargs", '{"a": "[b]"}')
    shown = {row["name"]: row for row in json.loads(run("list", "--json"))}
    assert shown["heartbeat"]["origin"] == "code"
    mine = shown["mine"]
    assert (mine["when"], mine["queue"], mine["expires"]) == (when, "bulk", 60)
    assert (mine["kwargs"], mine["enabled"], mine["origin"]) == ({"a": "[b]"}, True, "run time")
    assert datetime.fromisoformat(mine["next_run"]) > datetime.now(UTC) - MINUTE
    assert when in run("list")
    run("pause", "mine")
    assert "False" in run("list")
    run("resume", "mine")
    run("remove", "mine")
    assert "mine" not in run("list")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("remove mine", "there is no schedule 'mine'"),
        ("remove heartbeat", "is defined in the code"),
        ("add mine heartbeat.beat --queue bulk --expires 1m", "give exactly one of --every"),
        ("add mine heartbeat.beat --queue bulk --expires 1m --every 5", "below 5 s"),
        ("add mine heartbeat.beat --queue bulk --expires 1m --every 5x", "'5x' is not"),
        ("add mine heartbeat.beat --queue bulk --expires 1m --crontab 1", "valid schedule"),
        ("add mine heartbeat.beat --queue bulk --expires 1m --solar dusk,1,2", "valid schedule"),
        ("add mine no.task --queue bulk --expires 1m --every 5m", "there is no task 'no.task'"),
        ("add mine heartbeat.beat --queue q --expires 1m --every 5m", "there is no queue 'q'"),
        ("add m heartbeat.beat --queue io --expires 1m --every 5m --kwargs [1]", "a JSON object"),
    ],
)
def test_a_mistake_ends_the_command_in_one_line(words: str, sentence: str) -> None:
    result = CliRunner().invoke(cli.schedule, words.split())
    assert result.exit_code != 0
    assert sentence in result.output.splitlines()[-1]
    assert result.output.splitlines()[-1].startswith("Error: ")
