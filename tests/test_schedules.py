"""Several beats with redbeat on a real Redis: one sends, and another takes over when it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from redis import Redis

from conftest import Running
from servers import PATIENCE, Fleet
from variants import FULL, Answers

#: Queues in a Redis, and schedules in the one of the results.
ANSWERS: dict[str, Answers] = {
    "redis": {"beat": "redbeat"},
    "rabbitmq": {"beat": "redbeat", "broker": "rabbitmq", "pool": "threads"},
}

#: Seconds in which another beat goes on by default; a short lock for tests; how far apart runs are.
TAKEOVER = 30
SHORT_LOCK = 6
SHORT = {"CELERY_REDBEAT_LOCK_TIMEOUT": str(SHORT_LOCK), "CELERY_BEAT_MAX_LOOP_INTERVAL": "2"}
INTERVAL = 2

#: Seconds that a busy machine may add.
SLACK = 5

#: Seconds for which one of two beats is watched.
PERIOD = 180 if FULL else 30

BEATS = ("one", "two")
#: Lines with the whole time.
LINES = {"APP_LOG_FORMAT": "json"}
SENT = re.compile(r'"timestamp": "(\S+)".*Sending due task mine \(')


def start_beats(fleet: Fleet, *names: str) -> None:
    """Start beats under names of their own."""
    fleet.start(*names, line=fleet.project.lines["beat"])


def schedule(fleet: Fleet, *words: str) -> str:
    """Run `celery schedule` as another process of the owner would."""
    program = fleet.project.environment / "bin" / "celery"
    result = subprocess.run(
        [program, "-A", fleet.project.package, "schedule", *words],
        cwd=fleet.cwd,
        env=fleet.variables,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def add(fleet: Fleet) -> None:
    """Add a frequent heartbeat, in a queue without other messages."""
    options = ("--every", str(INTERVAL), "--expires", "1.9", "--queue", "bulk")
    schedule(fleet, "add", "mine", "heartbeat.beat", *options)


def sent(fleet: Fleet, *beats: str) -> list[float]:
    """Return when beats sent the heartbeat."""
    stamps = [stamp for beat in beats or fleet.processes for stamp in SENT.findall(fleet.log(beat))]
    return sorted(datetime.fromisoformat(stamp).timestamp() for stamp in stamps)


def leader(fleet: Fleet, *beats: str) -> str:
    """Return the beat that has the lock, of those that never lost it."""

    def having() -> list[str]:
        return [name for name in beats if "Acquired lock" in fleet.log(name)]

    fleet.wait(lambda: len(having()) == 1, "one beat has the lock")
    return having()[0]


def no_double_and_no_gap(times: list[float], longest: float = INTERVAL + SLACK) -> None:
    """Check that runs are an interval apart; a busy machine is late, and then the next one is too."""
    for before, after in pairwise(times):
        assert INTERVAL - 0.2 < after - before < longest, times


@pytest.mark.parametrize("broker", ANSWERS)
def test_one_of_two_beats_sends_for_long_and_the_other_goes_on_when_it_is_killed(broker: str, running: Running) -> None:
    with running(ANSWERS[broker], **LINES) as fleet:
        start_beats(fleet, *BEATS)
        fleet.start("general")
        add(fleet)
        first = leader(fleet, *BEATS)
        (second,) = set(BEATS) - {first}
        fleet.wait(lambda: sent(fleet), "the heartbeat is sent", TAKEOVER)
        time.sleep(PERIOD)
        times = sent(fleet, *BEATS)
        no_double_and_no_gap(times)
        assert len(times) <= PERIOD / INTERVAL + 2
        assert sent(fleet, second) == []
        fleet.kill(first)
        killed = time.time()
        fleet.wait(lambda: sent(fleet, second), "the other beat sends", TAKEOVER + 2 * SLACK)
        assert sent(fleet, second)[0] - killed < TAKEOVER + SLACK
        time.sleep(10)
        no_double_and_no_gap(sent(fleet, *BEATS), TAKEOVER + SLACK)
        every = len(sent(fleet, *BEATS))
        started = partial(fleet.seen, event="start", task="heartbeat.beat", queue="bulk")
        fleet.wait(lambda: len(started()) >= every - 3, "no message is lost")
        assert len(started()) <= len(sent(fleet, *BEATS)), "a message ran twice"


def test_a_beat_that_is_stopped_gives_the_lock_away_at_once(running: Running) -> None:
    with running(ANSWERS["redis"], **LINES) as fleet:
        start_beats(fleet, *BEATS)
        add(fleet)
        first = leader(fleet, *BEATS)
        (second,) = set(BEATS) - {first}
        fleet.wait(lambda: sent(fleet), "the heartbeat is sent")
        fleet.stop(first)
        fleet.wait(lambda: sent(fleet, second), "the other beat sends", 5 + SLACK)
        no_double_and_no_gap(sent(fleet, *BEATS), 5 + INTERVAL + SLACK)
        fleet.stop(second)


def test_a_schedule_that_is_added_by_the_command_survives_a_restart(running: Running) -> None:
    with running(ANSWERS["redis"], **LINES) as fleet:
        start_beats(fleet, "one")
        leader(fleet, "one")
        add(fleet)
        fleet.wait(lambda: sent(fleet), "the heartbeat is sent", 5 + INTERVAL + SLACK)
        fleet.stop("one")
        start_beats(fleet, "two")
        fleet.wait(lambda: sent(fleet, "two"), "the heartbeat is sent after a restart")
        rows = {row["name"]: row for row in json.loads(schedule(fleet, "list", "--json"))}
        assert (rows["mine"]["origin"], rows["heartbeat"]["origin"]) == ("run time", "code")


def test_a_beat_that_stood_still_sends_nothing_until_it_has_the_lock_again(running: Running) -> None:
    with running(ANSWERS["redis"], **LINES, **SHORT) as fleet:
        start_beats(fleet, *BEATS)
        add(fleet)
        first = leader(fleet, *BEATS)
        (second,) = set(BEATS) - {first}
        fleet.wait(lambda: sent(fleet), "the heartbeat is sent")
        fleet.processes[first].send_signal(signal.SIGSTOP)
        before = len(sent(fleet, first))
        fleet.wait(lambda: sent(fleet, second), "the other beat sends", SHORT_LOCK + 2 * SLACK)
        fleet.processes[first].send_signal(signal.SIGCONT)
        fleet.wait(lambda: "Lost the lock" in fleet.log(first), "the first beat sees that it is late")
        time.sleep(2 * SHORT_LOCK)
        assert len(sent(fleet, first)) == before
        no_double_and_no_gap(sent(fleet, *BEATS), SHORT_LOCK + INTERVAL + SLACK)
        fleet.stop(second)
        fleet.wait(lambda: len(sent(fleet, first)) > before, "the first beat sends again")
        fleet.stop(first)


def test_beat_outlives_a_redis_that_hangs_and_one_that_forgets(running: Running) -> None:
    timeouts = {f"CELERY_REDBEAT_REDIS_OPTIONS__SOCKET_{name}": "0.5" for name in ("TIMEOUT", "CONNECT_TIMEOUT")}
    with running(ANSWERS["redis"], **LINES, **SHORT, **timeouts) as fleet:
        redis: Any = Redis.from_url(fleet.variables["CELERY_BROKER_URL"])
        start_beats(fleet, "one")
        leader(fleet, "one")
        add(fleet)
        # Not while beat publishes: it waits there until Redis answers, and says nothing.
        fleet.wait(lambda: any(redis.scan_iter("bulk*", _type="list")), "the heartbeat is published")
        redis.client_pause(20_000)
        fleet.wait(lambda: "Redis failed" in fleet.log("one"), "beat says that Redis hangs")
        before = len(sent(fleet))
        fleet.wait(lambda: len(sent(fleet)) > before + 1, "the heartbeat is sent again")
        redis.flushall()
        fleet.wait(lambda: "heartbeat" in schedule(fleet, "list", "--json"), "beat writes the schedule anew")
        fleet.stop("one")
