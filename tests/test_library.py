"""The engine room's own tests, which stand in `tests/runtime`, in few projects that have all of it between them."""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from conftest import Baked, Copied
from runtime.conftest import applies
from servers import PostgreSQL, needed, newer, redis_server
from support import UV, python_of, run
from variants import FULL, TEMPLATE, Answers, all_variants, allowed, few, options, variant_id

TESTS = TEMPLATE / "tests" / "runtime"

#: What decides which parts of the engine room a project has, and on what they run.
PARTS = ("broker", "framework", "pool", "result_backend", "database", "beat")


def with_examples(answers: Answers) -> Answers:
    """Return answers with all examples where there is a framework, which shows them, and with none elsewhere."""
    return {**answers, "examples": "none" if answers["framework"] == "none" else "all"}


#: The default project, and few others that hold every choice and, with it, every part, because another turn may miss
#: one; in the full size, they hold every pair of choices.
DEFAULT = {name: choices[0] for name, choices in options().items() if name in (*PARTS, "examples")}
OTHERS = few(filter(allowed, all_variants(*PARTS)), "library 7", size=2 if FULL else 1)
HOSTS: list[Answers] = [DEFAULT, *map(with_examples, OTHERS)]

#: The servers of this machine, which the tests start themselves, and newer ones, which variables name.
PLACES = ("own", "newer")

#: What some server or pool does not have.
NOT_THERE = re.compile("has no priorities|a solo worker")

Hosted = Callable[[Answers], tuple[Path, str]]

#: Changes of a project that undo its wiring: file, old and new text, and the test that notices.
UNWIRED = {
    "steps": ("runtime/app.py", 'app.steps["worker"].update(WORKER_STEPS)', "pass", "has_the_steps"),
    "consumer": ("runtime/app.py", 'app.steps["consumer"].update(steps)', "pass", "has_the_steps"),
    "routes": ("celery.py", "routes=queues.ROUTES", "routes=[]", "tables_of_the_project"),
    "queues": ("celery.py", "queues=queues.QUEUES", "queues=queues.QUEUES[1:]", "tables_of_the_project"),
    "schedule": ("celery.py", "Beat(SCHEDULE)", "Beat({})", "tables_of_the_project"),
    "parts": ("celery.py", ", RedisState()", "", "tables_of_the_project"),
    "task": ("tasks/heartbeat.py", "@app.task(", '@app.task(base=__import__("celery").Task, ', "guarantees"),
    "context": ("runtime/app.py", 'amqp_cls = f"{__package__}.context:AMQP"', "pass", "correlation_id"),
}

in_every_host = pytest.mark.parametrize("answers", [pytest.param(host, id=variant_id(host)) for host in HOSTS])


def modules(project: Path) -> set[str]:
    """Return the modules of tests about what a project has, as paths below the folder of all."""
    (package,) = (path for path in (project / "src").iterdir() if path.is_dir())
    files = (file for file in TESTS.rglob("*.py") if applies(file, package))
    return {file.relative_to(TESTS).as_posix() for file in files}


@pytest.fixture(scope="module")
def hosted(copied: Copied, shared: Path) -> Hosted:
    """Return a function that gives a project with the tests of its runtime, and its interpreter; both are made once."""

    def host(answers: Answers) -> tuple[Path, str]:
        root = shared / "hosts" / str(HOSTS.index(answers))
        root.mkdir(parents=True, exist_ok=True)
        environment = root / "environment"
        with FileLock(root / "lock"):
            if not (root / "complete").exists():
                project = copied(answers, root / "project")
                for name in modules(project):
                    file = project / "tests" / "runtime" / name
                    file.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(TESTS / name, file)
                sync = [*UV, "sync", "--quiet", "--python", sys.executable]
                run(sync, project, UV_PROJECT_ENVIRONMENT=str(environment))
                (root / "complete").touch()
        (project,) = (root / "project").iterdir()
        return project, python_of(environment)

    return host


# The longest ones come first, so that none of them is what a run waits for in the end.


def on_servers() -> list[Any]:
    """Return the projects with the places of their servers, which take turns."""
    return [
        pytest.param(host, place, id=f"{variant_id(host)}-{place}")
        for host, place in zip(HOSTS, cycle(PLACES), strict=False)
    ]


@pytest.mark.parametrize(("answers", "place"), on_servers())
def test_the_runtime_keeps_its_promises_on_servers(
    answers: Answers, place: str, hosted: Hosted, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    project, python = hosted(answers)
    needed("redis-server")
    with ExitStack() as stack:
        given: dict[str, str] = {}
        if answers["database"] == "postgresql":
            server: PostgreSQL = request.getfixturevalue("postgresql")
            given["TEST_DATABASE_URL"] = server.create(f"library_{HOSTS.index(answers)}_{place}")
        if place == "newer":
            url = stack.enter_context(redis_server(tmp_path, newer()))
            given |= {"TEST_BROKER_URL": url, "TEST_RESULT_BACKEND": url}
        if place == "newer" and answers["broker"] == "rabbitmq":
            given["TEST_BROKER_URL"] = request.getfixturevalue("rabbitmq")(newer())
        command = [python, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "-m", "integration", "tests/runtime"]
        output = run(command, project, CI="true", **given)
    assert re.search(r"= \d+ passed, ", output)
    skipped = [line for line in output.splitlines() if line.startswith("SKIPPED")]
    assert [line for line in skipped if not NOT_THERE.search(line)] == []


def test_every_module_is_tested_somewhere(baked: Baked) -> None:
    tested = set[str]().union(*(modules(baked(host)) for host in HOSTS))
    assert tested == {file.relative_to(TESTS).as_posix() for file in TESTS.rglob("*.py")}


@pytest.mark.parametrize(
    "part", [["tests/runtime/worker"], ["tests/runtime", "--ignore=tests/runtime/worker"]], ids=["worker", "others"]
)
@in_every_host
def test_the_runtime_keeps_its_promises(answers: Answers, part: list[str], hosted: Hosted) -> None:
    project, python = hosted(answers)
    output = run([python, "-m", "pytest", "-p", "no:cacheprovider", *part], project)
    assert re.search(r"= \d+ passed", output)


@pytest.mark.xdist_group("linters")  # in one process, where mypy knows the libraries from the second time on
@in_every_host
def test_its_tests_pass_the_linters(answers: Answers, hosted: Hosted) -> None:
    project, python = hosted(answers)
    run([python, "-m", "ruff", "check", "tests/runtime"], project)
    run([python, "-m", "ruff", "format", "--check", "tests/runtime"], project)
    run([python, "-m", "mypy"], project, MYPYPATH="tests/runtime")


@pytest.mark.parametrize(("file", "old", "new", "test"), UNWIRED.values(), ids=list(UNWIRED))
def test_what_is_wired_wrong_fails_a_test_of_the_project(
    file: str, old: str, new: str, test: str, hosted: Hosted, copied: Copied, tmp_path: Path
) -> None:
    python, project = hosted(DEFAULT)[1], copied(DEFAULT, tmp_path)
    (path,) = project.glob(f"src/*/{file}")
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(AssertionError, match=rf"FAILED tests/test_wiring.py::\S*{test}"):
        run([python, "-m", "pytest", "tests/test_wiring.py"], project, PYTHONPATH="src")


def test_the_tests_are_written_for_one_package_and_hold_no_template() -> None:
    texts = {file: file.read_text("utf-8") for file in TESTS.rglob("*.py")}
    assert texts
    assert [file for file, text in texts.items() if "{%" in text or "{{ " in text] == []


def test_no_two_modules_of_tests_have_the_same_name() -> None:
    names = Counter(file.name for file in TESTS.rglob("test_*.py"))
    assert {name for name, times in names.items() if times > 1} == set(), "pytest could not import both in one project"
