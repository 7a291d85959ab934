"""Every variant passes ruff, mypy --strict and yamllint, and declares the packages that it imports."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Copied
from support import run
from variants import Answers, options, pairwise, variant_id

#: Every pair of choices.
VARIANTS: list[Answers] = pairwise()

#: The longest names that are allowed, so that no line grows beyond what ruff format would break.
LONGEST: list[Answers] = [{"project_slug": "a" * 64, "framework": framework} for framework in options()["framework"]]

#: Modules of a project that only its tests and `make dev` import, with libraries of the group `dev`.
ONLY_DEV = r".*/runtime/((\w+/)?testing|local)"

#: kombu, Celery, SQLAlchemy and Django import these, or they are commands; a project itself imports none.
UNUSED = (
    "billiard",
    "redis",
    "packaging",
    "ephem",
    "eventlet",
    "gevent",
    "gunicorn",
    "psycopg",
    "uvicorn",
    "whitenoise",
)


@pytest.mark.parametrize(
    "answers", {variant_id(answers): answers for answers in [*VARIANTS, *LONGEST]}.values(), ids=variant_id
)
def test_a_variant_is_clean(
    answers: Answers,
    copied: Copied,
    environment: Path,
    tmp_path: Path,
    tally: Callable[[str, int, int], None],
) -> None:
    before = os.times()
    project = copied(answers, tmp_path)
    tool = environment / "bin"
    run([str(tool / "ruff"), "check", "--no-cache"], project)
    run([str(tool / "ruff"), "format", "--check", "--no-cache"], project)
    # The plugin of django-stubs imports the settings of a project.
    run([str(tool / "mypy")], project, PYTHONPATH="src", APP_ENV="testing")
    run([sys.executable, "-m", "yamllint", "--strict", "."], project)
    options = ["--per-rule-ignores", f"DEP002={'|'.join(UNUSED)}", "--extend-exclude", ONLY_DEV]
    run([str(tool / "deptry"), *options, "src"], project)
    run([str(tool / "lint-imports"), "--no-cache"], project, PYTHONPATH="src")
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    tally("seconds of CPU time to check the variants, of variants", round(seconds), 1)


@pytest.mark.parametrize(
    ("tool", "file", "text"),
    [
        ("ruff check", "src/x.py", "import os\n"),
        ("ruff format --check", "src/x.py", "x = {  }\n"),
        ("mypy", "src/x.py", "def f(x):\n    return x\n"),
        ("deptry src", "src/x.py", "import nothing_declares_this\n"),
        ("yamllint", ".pre-commit-config.yaml", "repos: [ ]\nrepos: []\n"),
    ],
)
def test_each_linter_finds_a_broken_file(
    tool: str, file: str, text: str, copied: Copied, environment: Path, tmp_path: Path
) -> None:
    project = copied({}, tmp_path)
    (project / file).write_text(text, "utf-8")
    command = [sys.executable, "-m", "yamllint", "--strict", "."]
    if tool != "yamllint":
        command = [str(environment / "bin" / tool.split()[0]), *tool.split()[1:]]
    with pytest.raises(AssertionError):
        run(command, project)


@pytest.mark.parametrize(
    "imported", ["..web import catalog", "..runtime.web import service", "..runtime.{} import app"]
)
@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_a_task_that_imports_web_code_is_found(
    framework: str, imported: str, copied: Copied, environment: Path, tmp_path: Path
) -> None:
    project = copied({"framework": framework}, tmp_path)
    (module,) = project.glob("src/*/tasks/heartbeat.py")
    module.write_text(f"{module.read_text('utf-8')}\nfrom {imported.format(framework)}\n", "utf-8")
    with pytest.raises(AssertionError, match="tasks never import web code"):
        run([str(environment / "bin" / "lint-imports"), "--no-cache"], project, PYTHONPATH="src")


def test_a_runtime_that_imports_the_project_is_found(copied: Copied, environment: Path, tmp_path: Path) -> None:
    project = copied({}, tmp_path)
    (module,) = project.glob("src/*/runtime/context.py")
    module.write_text(f"{module.read_text('utf-8')}\nfrom .. import queues\n", "utf-8")
    with pytest.raises(AssertionError, match="The runtime imports nothing of the project BROKEN"):
        run([str(environment / "bin" / "lint-imports"), "--no-cache"], project, PYTHONPATH="src")
