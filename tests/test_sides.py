"""A project from before `runtime/` and one of today run side by side on the same servers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from conftest import NEWEST, Baked, borrow, libraries
from history import Owner
from servers import Fleet, Place, Project, needed, redis_server
from support import UV, python_of, run
from variants import Answers, variant_id

#: A Redis for all, and RabbitMQ with a Redis for results and state.
BROKERS: list[Answers] = [{}, {"broker": "rabbitmq"}]
SHORT_LEASE = {
    "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "3",
    "CELERY_BROKER_TRANSPORT_OPTIONS__UNACKED_RESTORE_INTERVAL": "0.5",
}


def made(owner: Owner, shared: Path, folder: Path) -> Project:
    """Return a project, installed with the libraries that projects with the same dependencies share."""
    environment = folder.parent.parent / "environment"
    run([*UV, "venv", "--quiet", "--python", sys.executable, str(environment)], folder)
    borrow(environment, libraries(shared / "libraries", folder))
    run([*UV, "pip", "install", "--quiet", "--no-deps", "--python", python_of(environment), "-e", "."], folder)
    return Project(folder, environment)


@dataclass(frozen=True)
class Sides:
    """A project as it was and as it is, on the same servers; the records of both are in one file.

    Args:
        old: Processes of the old one.
        new: Processes of the new one.
        redis: The Redis with the state of both.
        flags: Folder of files for which tasks wait.
    """

    old: Fleet
    new: Fleet
    redis: Redis
    flags: Path

    def dead_letters(self, fleet: Fleet, *arguments: str) -> str:
        """Return what the command prints in a project."""
        command = [str(fleet.project.environment / "bin" / "celery"), "-A", fleet.project.package, "dead-letters"]
        return run_with(fleet.variables, fleet.cwd, *command, *arguments)

    def letters(self, fleet: Fleet, task: str) -> list[dict[str, Any]]:
        """Return the dead letters of a task, as a project lists them."""
        lines = self.dead_letters(fleet, "list", "--json", "--task", task).splitlines()
        found: list[dict[str, Any]] = json.loads(lines[-1])
        return found


Both = Callable[..., AbstractContextManager[Sides]]


def run_with(variables: Mapping[str, str], folder: Path, *command: str) -> str:
    """Run a command that must succeed with these variables alone, and return what it wrote."""
    result = subprocess.run(
        command, cwd=folder, env=dict(variables), capture_output=True, encoding="utf-8", check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def sides(owner: Owner, baked: Baked, shared: Path, rabbitmq: Callable[[Place], str], tmp_path: Path) -> Both:
    """Return a function that runs both projects on servers of their own."""

    @contextmanager
    def run_both(answers: Answers, **others: str) -> Iterator[Sides]:
        needed("redis-server", NEWEST.root)
        variables: dict[str, str] = {"CELERY_WORKER_INCLUDE": "upgrade", "FLAGS": str(tmp_path / "flags"), **others}
        on_rabbitmq = answers.get("broker") == "rabbitmq"
        variables |= {"CELERY_BROKER_URL": rabbitmq(NEWEST)} if on_rabbitmq else SHORT_LEASE
        records = tmp_path / "records"
        (tmp_path / "flags").mkdir()
        folders = {
            "old": owner.create(answers, tmp_path / "old" / "project"),
            "new": shutil.copytree(baked(answers), tmp_path / "new" / "project" / "my-celery-project"),
        }
        with redis_server(tmp_path, NEWEST) as url:
            fleets = []
            try:
                for side, folder in folders.items():
                    (cwd := tmp_path / side / "cwd").mkdir()
                    project = made(owner, shared, folder)
                    fleet = Fleet(project, cwd, url, SIDE=side, PROBE_FILE=str(records), **variables)
                    fleet.records = records
                    fleets.append(fleet)
                records.touch()
                if on_rabbitmq:
                    fleets[0].ask("erase")
                with Redis.from_url(f"{url}/{1 if on_rabbitmq else 0}") as client:
                    yield Sides(fleets[0], fleets[1], client, tmp_path / "flags")
            finally:
                for fleet in fleets:
                    fleet.close()

    return run_both


def masked(text: str) -> str:
    """Return a text without what is random in it, and without priorities.

    The earlier project gives the priority of a route to the router only, and the broker does not get it.
    """
    text = re.sub(r', \\*"x-sent-at\\*": [\d.]+', "", text)  # which the new one adds for its metrics
    text = re.sub("\x06\x16\\d", "", text)
    text = re.sub(r'"priority": \d', '"priority": 0', text)
    text = re.sub(r"/libraries/\w+/", "/libraries/ID/", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}", "ID", text)
    text = re.sub(r"gen\d+@[\w.-]+", "ORIGIN", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.+]+|\d{10}\.\d+", "TIME", text)
    return re.sub(r'"timestamp": \d+', '"timestamp": "TIME"', text)


def keys(client: Redis, pattern: str) -> list[list[str]]:
    """Return name and type of keys, sorted."""
    return sorted([masked(key.decode()), client.type(key).decode()] for key in client.scan_iter(pattern))  # type: ignore[union-attr]


def life(both: Sides, fleet: Fleet) -> list[Any]:
    """Let a project send, hold and lose something; return all that the servers, or another project, see of it."""
    both.redis.flushall()
    for flag in both.flags.iterdir():
        flag.unlink()
    settings = fleet.ask("use", "upgrade.settings")
    for options in ({}, {"headers": {"x-urgent": "yes"}}, {"queue": "bulk", "priority": 6, "expires": 600}):
        fleet.ask("use", "upgrade.send_bound", "word", options)
    for _ in range(2):
        fleet.send("upgrade.rebuild", 7)
    fleet.ask("use", "upgrade.send_chord", ["default", "bulk"])
    sent = keys(both.redis, "*")
    messages = {name: fleet.ask("use", "upgrade.waiting", name) for name in ("critical", "default", "bulk")}
    assert [len(found) for found in messages.values()] == [1, 3, 2]

    fleet.start("general")
    fleet.send("upgrade.fail", "never")
    fleet.send("upgrade.pay", "order-7")
    fleet.send("upgrade.hold", "stock", "released")
    fleet.send("upgrade.charge", "go")
    side = fleet.variables["SIDE"]
    for event in ("paid", "started", "holds"):
        fleet.wait(partial(fleet.seen, side=side, event=event), event)
    fleet.wait(lambda: both.letters(fleet, "upgrade.fail"), "a task is a dead letter")
    held = keys(both.redis, "my_celery_project:*")
    letters = both.letters(fleet, "upgrade.fail")
    as_json = () if fleet is both.old else ("--json",)
    whole = both.dead_letters(fleet, "show", letters[0]["id"], *as_json)
    for name in ("released", "go"):
        (both.flags / name).touch()
    for event in ("released", "finished"):
        fleet.wait(partial(fleet.seen, side=side, event=event), event)
    fleet.stop("general")
    left = keys(both.redis, "my_celery_project:*")
    parts = settings, sent, messages, held, left, letters, json.loads(whole)
    return [json.loads(masked(json.dumps(part))) for part in parts]


@pytest.mark.parametrize("answers", BROKERS, ids=variant_id)
def test_keys_queues_and_messages_are_the_same_ones(answers: Answers, sides: Both) -> None:
    with sides(answers) as both:
        old, new = (life(both, fleet) for fleet in (both.old, both.new))
        for one, other in zip(old, new, strict=True):
            assert one == other
        _, _, _, held, *_ = new
        kinds = {name.split(":")[1] for name, _ in held}
        assert kinds >= {"dead-letters", "idempotency", "lock", "fence", "run"}


@pytest.mark.parametrize(("first", "second"), [("old", "new"), ("new", "old")])
@pytest.mark.parametrize("answers", BROKERS, ids=variant_id)
def test_what_one_has_sent_left_and_holds_the_other_knows(
    answers: Answers, first: str, second: str, sides: Both
) -> None:
    with sides(answers) as both:
        one, other = getattr(both, first), getattr(both, second)
        for fleet in (one, other):
            fleet.ask("use", "upgrade.settings")  # loads the tasks

        # The one ends a task, holds a lock, and is killed in the middle of two more.
        one.start("general", "io")
        one.send("upgrade.fail", "repaired")
        one.send("upgrade.pay", "order-7")
        one.send("upgrade.hold", "stock", "released", options={"queue": "io"})
        hung, charged = one.send("upgrade.hang", "go"), one.send("upgrade.charge", "go")
        for event in ("paid", "holds"):
            one.wait(partial(one.seen, event=event, side=first), event)
        one.wait(lambda: len(one.seen(event="started", side=first)) == 2, "two tasks start")
        one.wait(lambda: both.letters(other, "upgrade.fail"), "the other one sees the dead letter")
        one.kill("general")

        # It sends, and the other one runs.
        rebuilt = one.send("upgrade.rebuild", 7)
        assert other.send("upgrade.rebuild", 7) == rebuilt
        due = time.time() + 5
        for word, options in (("plain", {}), ("later", {"countdown": 5}), ("urgent", {"headers": {"x-urgent": "yes"}})):
            one.ask("use", "upgrade.send_bound", word, options)
        one.ask("use", "upgrade.send_chord", ["default", "io", "bulk"])
        again = other.send("upgrade.pay", "order-7")
        other.send("upgrade.hold", "stock", "released")
        other.start(*(name for name in ("critical", "general") if name in other.project.lines))
        for word in ("plain", "urgent", "later"):
            other.wait(partial(other.seen, event="note", word=word), word)
            (note,) = other.seen(event="note", word=word)
            assert (note["side"], note["correlation_id"], note["tenant"]) == (second, f"id-{word}", "acme")
            assert note["urgent"] == ("yes" if word == "urgent" else None)
        assert time.time() >= due
        other.wait(lambda: other.seen(event="gather"), "a chord ends")
        (gathered,) = other.seen(event="gather")
        assert sorted(gathered["words"]) == ["bulk", "default", "io"]
        assert {
            note["word"]: note["side"] for note in other.seen(event="note") if note["word"] in gathered["words"]
        } == {
            "default": second,
            "io": first,
            "bulk": second,
        }
        other.wait(lambda: other.seen(event="rebuilt"), "the unique task runs")
        assert [entry["side"] for entry in other.seen(event="rebuilt")] == [second]
        assert other.send("upgrade.rebuild", 7) != rebuilt

        # One effect for each key, which the first one had; one holder of a lock, the first.
        other.wait(lambda: other.ask("use", "upgrade.state", again) == ["SUCCESS", first], "the outcome is known")
        assert [entry["side"] for entry in other.seen(event="paid")] == [first]
        refusals = ("holds the lock", "held elsewhere")  # of today, and of the first commit of this test
        other.wait(lambda: any(text in other.log("general") for text in refusals), "another one holds the lock")
        assert [entry["side"] for entry in other.seen(event="holds")] == [first]
        (both.flags / "released").touch()
        other.wait(lambda: other.seen(event="released", side=second), "the lock is free")

        # The dead letter is repaired; of the two tasks whose worker died, one runs again.
        (both.flags / "repaired").touch()
        (letter,) = both.letters(other, "upgrade.fail")
        both.dead_letters(other, "replay", letter["id"])
        other.wait(lambda: other.seen(event="repaired", side=second), "the dead letter is repaired")
        assert [letter["replayed_as"] is not None for letter in both.letters(one, "upgrade.fail")] == [True]
        both.redis.delete(f"my_celery_project:run:{charged}:lease")  # it would end after half a minute
        other.wait(lambda: both.letters(other, "upgrade.charge"), "the task that must not run twice is a dead letter")
        assert [letter["reason"] for letter in both.letters(one, "upgrade.charge")] == ["worker lost"]
        other.wait(lambda: other.seen(event="started", side=second), "the other task starts again")
        other.kill("general")
        one.start("general")
        one.wait(lambda: one.seen(event="started", side=first, crashes=2), "its crashes are counted")
        (both.flags / "go").touch()
        one.wait(lambda: one.seen(event="finished", side=first), "it ends")
        assert [entry["task"] for entry in one.seen(event="finished")] == ["upgrade.hang"]
        assert hung
        one.stop("general", "io")


@pytest.mark.parametrize(("first", "second"), [("old", "new"), ("new", "old")])
def test_jobs_of_django_are_rows_that_both_know(first: str, second: str, sides: Both, tmp_path: Path) -> None:
    with sides({"framework": "django"}, DATABASE_URL=f"sqlite:///{tmp_path / 'database'}") as both:
        one, other = getattr(both, first), getattr(both, second)
        for fleet in (one, other):  # whoever updates migrates; the old one finds nothing to do after the new one
            program = [str(fleet.project.environment / "bin" / "python"), str(fleet.project.folder / "manage.py")]
            for option in ("--verbosity=0", "--check"):
                run_with(fleet.variables, fleet.cwd, *program, "migrate", option)
        wanted, cancelled = (one.ask("use", "upgrade.submit_job", answer) for answer in (False, True))
        other.start("general")
        other.wait(lambda: one.ask("use", "upgrade.state", wanted)[0] == "SUCCESS", "a job ends")
        other.wait(lambda: one.ask("use", "upgrade.state", cancelled)[0] == "REVOKED", "one was cancelled")
        other.stop("general")
