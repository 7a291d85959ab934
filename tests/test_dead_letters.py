"""No task is lost silently: one that fails for good is a dead letter, in every pool, on real servers."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from conftest import Running
from servers import Fleet, memory_limit
from variants import Answers, each

STORES: list[Answers] = [
    {"broker": "redis"},
    {"broker": "rabbitmq"},
    {"broker": "rabbitmq", "result_backend": "none"},
]
BROKERS = STORES[:2]
PREFORK: list[Answers] = [{**answers, "pool": "prefork"} for answers in STORES]
POOLS: list[Answers] = [{**answers, "pool": pool} for answers in STORES for pool in ("prefork", "threads", "gevent")]
SOLO: list[Answers] = [{**answers, "pool": "solo"} for answers in BROKERS]

LEASE = "5"


class Letters:
    """The command line of a fleet's dead letters.

    Args:
        fleet: The fleet.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.place: dict[str, Any] = {"cwd": fleet.cwd, "env": fleet.variables}

    def command(self, *arguments: str) -> list[str]:
        """Return a command line."""
        project = self.fleet.project
        return [str(project.environment / "bin" / "celery"), "-A", project.package, "dead-letters", *arguments]

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command with the expected exit code, and return its output."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            self.command(*arguments), capture_output=True, encoding="utf-8", check=False, **self.place
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        """Return letters as the command lists them."""
        return [*json.loads(self("list", "--json", *arguments))]

    def count(self) -> int:
        """Return how many there are."""
        return len(self.seen())

    def seen(self) -> list[dict[str, Any]]:
        """Return all letters; it takes a fraction of the time of the command."""
        return list(self.fleet.ask("letters"))

    def wait(self, number: int, *arguments: str) -> list[dict[str, Any]]:
        """Wait for so many letters."""
        self.fleet.wait(lambda: self.count() >= number, f"{number} letters")
        letters = self.listed(*arguments)
        assert len(letters) == number, letters
        return letters


@pytest.fixture
def lettered(running: Running) -> Callable[..., Any]:
    """Return a function that runs a fleet with a general worker, and gives it and its letters."""

    @contextmanager
    def run_fleet(answers: Answers, start: bool = True, **variables: str) -> Iterator[tuple[Fleet, Letters]]:
        lease = (
            {"CELERY_BROKER_HEARTBEAT": LEASE}
            if answers["broker"] == "rabbitmq"
            else {"CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": LEASE}
        )
        loaded = {"CELERY_WORKER_INCLUDE": "probe,poison", "GENERAL_CONCURRENCY": "2"}
        with running(answers, **{**lease, **loaded, **variables}) as fleet:
            if start:
                fleet.start("general")
            yield fleet, Letters(fleet)

    return run_fleet


def runs(fleet: Fleet, task_id: str) -> int:
    """Return how often the body of a task was entered."""
    return len(fleet.seen(event="run", id=task_id))


def restarted_until_letters(fleet: Fleet, letters: Letters, line: str = "", number: int = 1) -> None:
    """Start the general worker whenever it has ended, until there are so many letters."""
    deadline = time.monotonic() + 120
    while letters.count() < number and time.monotonic() < deadline:
        if fleet.processes["general"].poll() is not None:
            with suppress(AssertionError):  # it may die before it is ready
                fleet.start("general", line=line)
        time.sleep(0.2)


# Tasks that kill


@each(PREFORK)
def test_a_task_that_kills_its_child_or_takes_too_long_is_a_letter(answers: Answers, lettered: Any) -> None:
    with lettered(answers) as (fleet, letters):
        child, late = fleet.send("poison.kill_child"), fleet.send("poison.outlast")
        others = fleet.ask("send_many", 20, "probe.step", [], {}, {})
        fleet.ends(*others)
        found = {letter["id"]: letter for letter in letters.wait(2)}
        assert (found[child]["reason"], found[child]["attempts"]) == ("worker lost", 3)
        assert (found[late]["reason"], found[late]["error"]) == ("time limit", "TimeLimitExceeded")
        assert (runs(fleet, child), runs(fleet, late)) == (3, 1)
        too_much = fleet.send("poison.ask_for_too_much")
        (letter,) = [letter for letter in letters.wait(3) if letter["id"] == too_much]
        assert (letter["reason"], letter["error"], runs(fleet, too_much)) == ("failed", "MemoryError", 1)
        every_way = fleet.send("poison.die_in_every_way")
        restarted_until_letters(fleet, letters, number=4)
        (letter,) = [letter for letter in letters.wait(4) if letter["id"] == every_way]
        assert (letter["reason"], letter["attempts"], runs(fleet, every_way)) == ("worker lost", 4, 4)
        time.sleep(3)
        assert [runs(fleet, task_id) for task_id in (child, late, every_way)] == [3, 1, 4]


@each(POOLS)
def test_a_task_that_kills_its_worker_runs_three_times_and_its_neighbours_end(answers: Answers, lettered: Any) -> None:
    with lettered(answers, GENERAL_CONCURRENCY="4") as (fleet, letters):
        fleet.ask("send_many", 25, "probe.sleep", [0.2], {}, {})
        poison = fleet.send("poison.kill_worker")
        fleet.ask("send_many", 25, "probe.sleep", [0.2], {}, {})
        restarted_until_letters(fleet, letters)
        ended = partial(fleet.seen, event="end", task="probe.sleep", state="SUCCESS")
        fleet.wait(lambda: len({end["id"] for end in ended()}) == 50, "all others end")
        time.sleep(8)  # longer than the lease
        (letter,) = letters.wait(1)
        assert (letter["id"], letter["reason"], letter["error"]) == (poison, "crashes", "TooManyCrashesError")
        assert runs(fleet, poison) == 3


@each(SOLO)
def test_a_task_that_kills_a_solo_worker_runs_three_times(answers: Answers, lettered: Any) -> None:
    limits = {"CELERY_TASK_SOFT_TIME_LIMIT": "3", "CELERY_TASK_TIME_LIMIT": "4"}  # below the lease
    with lettered(answers, **limits) as (fleet, letters):
        poison = fleet.send("poison.kill_child")
        restarted_until_letters(fleet, letters)
        (letter,) = letters.wait(1)
        assert (letter["id"], letter["reason"], runs(fleet, poison)) == (poison, "crashes", 3)
        fleet.ends(fleet.send("probe.step"))


@each(BROKERS)
def test_a_task_that_outgrows_memory_loses_its_process(answers: Answers, lettered: Any) -> None:
    with memory_limit(400) as limited, lettered(answers, start=False) as (fleet, letters):
        fleet.start("general", line=f"{limited} {fleet.project.lines['general']}")
        poison = fleet.send("poison.outgrow")
        others = fleet.ask("send_many", 20, "probe.step", [], {}, {})
        fleet.ends(*others)
        (letter,) = letters.wait(1)
        assert (letter["id"], letter["reason"], letter["error"]) == (poison, "worker lost", "WorkerLostError")
        assert "SIGKILL" in letter["text"]
        assert (runs(fleet, poison), letter["attempts"]) == (3, 3)
        assert fleet.processes["general"].poll() is None


@each(BROKERS)
def test_a_task_that_outgrows_memory_and_loses_its_worker(answers: Answers, lettered: Any) -> None:
    with memory_limit(400) as limited, lettered({**answers, "pool": "threads"}, start=False) as (fleet, letters):
        line = f"{limited} {fleet.project.lines['general']}"
        fleet.start("general", line=line)
        poison = fleet.send("poison.outgrow")
        others = fleet.ask("send_many", 20, "probe.step", [], {}, {})
        restarted_until_letters(fleet, letters, line)
        (letter,) = letters.wait(1)
        assert (letter["id"], letter["reason"], letter["error"]) == (poison, "crashes", "TooManyCrashesError")
        # A worker that stands still while the kernel looks for memory may lose its lease, and get the message again.
        assert len({entry["pid"] for entry in fleet.seen(event="run", id=poison)}) == 3, fleet.tails()
        fleet.ends(*others)


@each(BROKERS)
def test_what_was_only_prefetched_is_no_crash(answers: Answers, lettered: Any) -> None:
    with lettered({**answers, "pool": "threads"}) as (fleet, letters):
        fleet.kill("general")
        waiting = fleet.send("probe.step")
        for _ in range(5):
            assert fleet.ask("take", "default", "lose", 1) == 1
        fleet.start("general")
        fleet.ends(waiting)
        fleet.wait(lambda: fleet.seen(event="end", id=waiting, state="SUCCESS"), "it runs")
        assert letters.listed() == []


@each(PREFORK)
def test_a_task_that_must_not_run_twice_does_not(answers: Answers, lettered: Any) -> None:
    with lettered(answers) as (fleet, letters):
        trap = fleet.cwd / "trap"
        trap.touch()
        task_id = fleet.send("poison.once", str(trap), 0)
        fleet.wait(lambda: fleet.processes["general"].poll() is not None, "the worker dies")
        fleet.start("general")
        time.sleep(8)  # longer than the lease
        fleet.ends(fleet.send("probe.step"))
        assert runs(fleet, task_id) == 1
        letters.wait(1)


# Messages that are no task


@each(POOLS)
def test_what_is_no_task_is_one_letter_and_the_queue_goes_on(answers: Answers, lettered: Any) -> None:
    with lettered(answers) as (fleet, letters):
        fleet.ask("publish_raw", "{not json", "application/json", "probe.step")
        fleet.ask("publish_raw", "gASVBQAAAAAAAABLAUsChpQu", "application/x-python-serialize", "probe.step")
        fleet.ask("publish_raw", "7", "application/json", "probe.step")
        fleet.ask("publish_raw", "hello", "text/plain", None)
        fleet.send("nobody.knows", 7, options={"queue": "default"})
        after = fleet.send("probe.step")
        fleet.ends(after)
        found = letters.wait(5)
        reasons = sorted(letter["reason"] for letter in found)
        assert reasons == ["unknown task", *["unreadable"] * 4]
        time.sleep(3)
        assert len(letters.listed()) == 5
        assert fleet.processes["general"].poll() is None


@each(STORES[1:])
def test_what_rabbitmq_gives_up_is_a_letter(answers: Answers, lettered: Any) -> None:
    with lettered(answers, start=False) as (fleet, letters):
        assert letters.listed() == []
        late = fleet.send("probe.step", options={"expiration": 1})
        fleet.send("probe.step", options={"expiration": 1, "expires": 1})  # its sender wants no more of it
        found = {letter["id"]: letter["reason"] for letter in letters.wait(1)}
        rejected = fleet.send("probe.step", 7)
        assert fleet.ask("take", "default", "reject") == 1
        lost = fleet.send("probe.step")
        assert fleet.ask("take", "default", "lose") == 21
        found = {letter["id"]: letter["reason"] for letter in letters.wait(3)}
        assert found == {late: "expired", rejected: "rejected", lost: "delivery limit"}
        assert json.loads(letters("show", rejected, "--json"))["args"] == [7]
        fleet.start("general")
        assert "3 replayed" in letters("replay", "--all")
        fleet.wait(lambda: len(fleet.seen(event="end", state="SUCCESS")) == 3, "the replays succeed")
        assert len(letters.listed()) == 3


@each(STORES[:1])
def test_what_is_no_message_at_all_is_one_letter_however_many_look(answers: Answers, lettered: Any) -> None:
    with lettered(answers) as (fleet, letters):
        fleet.ask("push", "default", "garbage")
        fleet.ends(fleet.send("probe.step"))
        letters.wait(1)
        fleet.ask("push", "unreadable", *(f"garbage {number}" for number in range(3000)))
        with ThreadPoolExecutor(4) as at_once:
            list(at_once.map(lambda _: letters.listed(), range(4)))
        assert {letter["reason"] for letter in letters.wait(3001, "--limit", "9000")} == {"unreadable"}


@each(BROKERS)
def test_a_letter_that_a_full_redis_refuses_is_not_lost(answers: Answers, lettered: Any) -> None:
    with lettered(answers) as (fleet, letters), Redis.from_url(fleet.variables["CELERY_RESULT_BACKEND"]) as redis:
        path = fleet.cwd / "file"
        task_id = fleet.send("poison.fail_when", str(path))
        fleet.wait(lambda: fleet.seen(event="run"), "it runs")
        redis.config_set("maxmemory", 1)
        path.touch()
        fleet.wait(
            lambda: f'Could not store a dead letter: {{"id": "{task_id}"' in fleet.log("general"), "it is logged"
        )
        redis.config_set("maxmemory", 0)
        fleet.ends(fleet.send("probe.step"))
        if answers["broker"] == "rabbitmq":
            (letter,) = letters.wait(1)
            assert (letter["id"], letter["reason"]) == (task_id, "rejected")
        assert runs(fleet, task_id) == 1


@each(STORES[::2])
def test_periodic_failures_are_counted_and_the_oldest_letters_go(answers: Answers, lettered: Any) -> None:
    limits = {"APP_DEAD_LETTERS_MAX_NUMBER": "50", "APP_DEAD_LETTERS_ARCHIVE": "old.jsonl"}
    with lettered(answers, **limits) as (fleet, letters):
        fleet.ask("send_many", 3, "probe.fail", [], {}, {"headers": {"x-periodic": "yes"}})
        fleet.wait(lambda: [letter["count"] for letter in letters.seen()] == [3], "the third failure is counted")
        fleet.ask("send_many", 250, "probe.fail", [], {}, {})
        # The first letter of a process, and each hundredth after it, makes it look for what is too much.
        archive = fleet.cwd / "old.jsonl"
        fleet.wait(lambda: len(archived(archive)) > 100, "the oldest letters go")
        fleet.wait(lambda: letters.count() + len(archived(archive)) == 251, "none is lost")
        assert "have been moved to old.jsonl" in fleet.log("general")
        assert letters.count() < 110


def archived(file: Path) -> set[str]:
    """Return the ids of the letters in an archive."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return {json.loads(line)["id"] for line in lines}


# Replays


@each(STORES)
def test_a_letter_is_replayed_once(answers: Answers, lettered: Any) -> None:
    with lettered(answers) as (fleet, letters):
        path = fleet.cwd / "file"
        task_id = fleet.ask(
            "bound", "request-7", "acme", "send", "poison.fail_until", [str(path), "é"], {"due": 1}, {"priority": 4}
        )
        (letter,) = letters.wait(1)
        assert (letter["id"], letter["error"], letter["reason"]) == (task_id, "LookupError", "failed")
        full = json.loads(letters("show", task_id, "--json"))
        assert (full["args"], full["kwargs"], full["queue"]) == ([str(path), "é"], {"due": 1}, "default")
        assert (full["headers"]["x-correlation-id"], full["headers"]["x-tenant"]) == ("request-7", "acme")
        assert "there is no" in full["traceback"]
        assert letters("show", task_id) == letters("show", task_id)
        path.touch()
        assert task_id in letters("replay", task_id)
        fleet.wait(lambda: fleet.seen(event="end", state="SUCCESS", task="poison.fail_until"), "the replay succeeds")
        (end,) = fleet.seen(event="end", state="SUCCESS", task="poison.fail_until")
        assert (end["args"], end["correlation_id"], end["tenant"]) == ([str(path), "é"], "request-7", "acme")
        refusal = letters("replay", task_id, code=1)
        assert end["id"] in refusal
        assert "was replayed" in refusal
        assert len(fleet.seen(event="run")) == 2
        letters("discard", task_id)
        assert letters.listed() == []


@each(STORES)
def test_a_thousand_are_replayed_at_a_rate(answers: Answers, lettered: Any) -> None:
    with lettered(answers) as (fleet, letters):
        path = fleet.cwd / "file"
        fleet.ask("send_many", 1000, "poison.fail_until", [str(path)], {}, {})
        fleet.ask("send_many", 3, "probe.fail", [], {}, {})
        letters.wait(1003, "--limit", "2000")
        page = letters.listed("--limit", "10", "--offset", "1000")
        assert len(page) == 3
        before = letters.seen()
        assert [letters.seen() == before for _ in range(10)] == [True] * 10
        (large, small) = json.loads(letters("group", "--json"))
        assert (large["letters"], small["letters"]) == (1000, 3)
        assert "1000 would be replayed" in letters("replay", "--task", "poison.*", "--dry-run")
        path.touch()
        start = time.monotonic()
        assert "1000 replayed, 0 refused" in letters("replay", "--task", "poison.*", "--rate", "200/s")
        assert time.monotonic() - start >= 5
        ended = partial(fleet.seen, event="end", state="SUCCESS", task="poison.fail_until")
        fleet.wait(lambda: len(ended()) == 1000, "all replays succeed")
        assert len(letters.listed("--not-replayed")) == 3
        assert "1003 deleted" in letters("purge", "--all", "--yes")


@each(STORES[2:])
def test_a_command_that_is_killed_loses_no_letter(answers: Answers, lettered: Any) -> None:
    with lettered(answers) as (fleet, letters):
        path = fleet.cwd / "file"
        fleet.ask("send_many", 30, "poison.fail_until", [str(path)], {}, {})
        letters.wait(30)
        path.touch()
        ended = partial(fleet.seen, event="end", state="SUCCESS", task="poison.fail_until")
        with subprocess.Popen(letters.command("replay", "--all", "--rate", "30/m"), **letters.place) as command:
            fleet.wait(lambda: len(ended()) > 2, "it replays some")
            assert "another command has the dead letters open" in letters("list", code=1)
            fleet.ask("send_many", 5, "probe.fail", [], {}, {})
            fleet.wait(lambda: len(fleet.seen(event="end", state="FAILURE", task="probe.fail")) == 5, "others fail")
            command.kill()
        letters.wait(35)
        with ThreadPoolExecutor(2) as at_once:
            first, second = at_once.map(lambda _: letters.listed(), range(2))
        assert first == second
        fleet.wait(lambda: len(fleet.seen(event="run")) == 30 + len(ended()), "what was sent has ended")
        replayed = [letter for letter in first if letter["replayed_as"]]
        assert 0 <= len(replayed) - len(ended()) <= 1  # one was noted, and not sent yet
