"""Every choice of every option runs on real servers: each process of a project, a task in each queue, a dead letter."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest

from conftest import Edit, Installed, Running
from servers import PATIENCE, Fleet, PostgreSQL, free_port
from support import python_of, run
from test_servers import OFTEN
from variants import Answers, cover, options, pairwise, variant_id

#: Every pair of choices in the full size, and every choice by default.
VARIANTS = cover(pairwise(), "choices")


def test_every_choice_of_every_option_is_among_these_variants() -> None:
    choices = {(name, choice) for name, found in options().items() for choice in found}
    assert {pair for answers in VARIANTS for pair in answers.items()} == choices


def edits(answers: Answers) -> tuple[Edit, ...]:
    """Return variables that make beat send often, if the project has one."""
    return () if answers["beat"] == "none" else OFTEN


#: Print name and version of each package that a project names.
VERSIONS = """
import json, re, sys, tomllib
from importlib.metadata import version
from pathlib import Path
rows = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
names = {re.match(r"[\\w.-]+", row)[0] for row in rows}
print(json.dumps({name: version(name) for name in names}))
"""


def test_the_versions_of_libraries(installed: Installed, summary: Callable[[str], None]) -> None:
    found: dict[str, str] = {}
    for project in (installed(answers, *edits(answers)) for answers in VARIANTS):
        found |= json.loads(run([python_of(project.environment), "-c", VERSIONS], project.folder))
    assert {"celery", "django", "fastapi", "flask", "redis", "sqlalchemy"} <= found.keys()
    summary(f"Libraries: {', '.join(' '.join(pair) for pair in sorted(found.items()))}")


def migrate(fleet: Fleet) -> None:
    """Run the commands of `make migrate`, if there are tables."""
    makefile = (fleet.project.folder / "Makefile").read_text("utf-8")
    lines = re.search(r"(?m)^migrate:.*\n((?:\t.+\n)+)", makefile)
    for line in lines[1].splitlines() if lines else []:
        command = line.strip().removeprefix("@").replace("$(BIN)", str(fleet.project.environment / "bin"))
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=fleet.project.folder,
            env=fleet.variables,
            capture_output=True,
            encoding="utf-8",
            timeout=5 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def answers_ready(port: int) -> bool:
    """Whether a web server says that it and its servers work."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("answers", VARIANTS, ids=variant_id)
def test_a_project_works_on_its_servers(
    answers: Answers, running: Running, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    variables = {"WEB_PORT": str(free_port()), "APP_ADMIN_TOKEN": "0123456789abcdef" * 2}
    if answers["database"] == "postgresql":
        postgresql: PostgreSQL = request.getfixturevalue("postgresql")
        variables["DATABASE_URL"] = postgresql.create(f"choices_{time.monotonic_ns()}")
    elif answers["database"] == "sqlite":
        variables["DATABASE_URL"] = f"sqlite:///{tmp_path}/database.sqlite"
    with running(answers, *edits(answers), **variables) as fleet:
        migrate(fleet)
        lines = fleet.project.lines
        assert ("beat" in lines, "web" in lines) == (answers["beat"] != "none", answers["framework"] != "none")
        fleet.start(*lines)
        consumers = {queue: worker for worker, queues in fleet.project.workers.items() for queue in queues}
        sent = {queue: fleet.send("probe.sleep", 0, options={"queue": queue}) for queue in consumers}
        fleet.ends(*sent.values())
        for queue, worker in consumers.items():
            (end,) = fleet.seen(event="end", id=sent[queue])
            assert (end["queue"], end["worker"], end["state"]) == (queue, worker, "SUCCESS")
        if answers["result_backend"] != "none":
            assert fleet.ask("call", "heartbeat.beat", {}).partition("@")[0] == "general"
        failed = fleet.send("probe.fail")
        fleet.wait(lambda: [letter["id"] for letter in fleet.ask("letters")] == [failed], "it is a dead letter")
        if "beat" in lines:
            ended = partial(fleet.seen, event="end", task="heartbeat.beat", state="SUCCESS")
            fleet.wait(lambda: {entry["id"] for entry in ended()} - fleet.sent, "the heartbeat of beat runs")
        if "web" in lines:
            fleet.wait(partial(answers_ready, int(variables["WEB_PORT"])), "the web server is ready")
        fleet.stop(*lines)
        for name in lines:
            others = [part for part in re.split(r"\n(?=\d\d:\d\d:\d\d \[)", fleet.log(name)) if failed not in part]
            assert not [part for part in others if "Traceback" in part], fleet.log(name)
