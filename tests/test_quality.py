"""Every variant is what its owner's linters accept: ruff, mypy --strict, yamllint."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from conftest import Bakery
from support import UV, python_of, run
from variants import Answers, pairwise, rotating, variant_id

#: What files depend on in every combination, and every pair of choices.
VARIANTS: list[Answers] = [*rotating("broker", "result_backend", "beat", "examples", pool=0, license=0), *pairwise()]

#: The longest names that are allowed, so that no line grows beyond what ruff format would break.
LONGEST: Answers = {"project_slug": "a" * 64}


@pytest.fixture(scope="session")
def environment(bakery: Bakery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with all that variants depend on, made once."""
    shared = tmp_path_factory.getbasetemp().parent
    environment = shared / "quality"
    with FileLock(shared / "quality.lock"):
        if not environment.exists():
            project = bakery.bake({"beat": "redbeat"}, tmp_path_factory.mktemp("most"))
            run([*UV, "venv", "--quiet", "--python", sys.executable, str(environment)], project)
            install = [*UV, "pip", "install", "--quiet", "--python", python_of(environment)]
            run([*install, "-r", "pyproject.toml", "--group", "dev"], project)
    return environment


@pytest.mark.parametrize(
    "answers", {variant_id(answers): answers for answers in [*VARIANTS, LONGEST]}.values(), ids=variant_id
)
def test_a_variant_is_clean(
    answers: Answers,
    bakery: Bakery,
    environment: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    tally: Callable[[str, int, int], None],
) -> None:
    start = time.monotonic()
    project = bakery.bake(answers, tmp_path)
    tool = environment / "bin"
    run([str(tool / "ruff"), "check", "--no-cache"], project)
    run([str(tool / "ruff"), "format", "--check", "--no-cache"], project)
    cache = tmp_path_factory.getbasetemp() / "mypy"  # one for each process of the test run
    run([str(tool / "mypy"), "--cache-dir", str(cache)], project)
    run([sys.executable, "-m", "yamllint", "--strict", "."], project)
    tally("seconds to bake and check the variants, of variants", round(time.monotonic() - start), 1)


@pytest.mark.parametrize(
    ("tool", "file", "text"),
    [
        ("ruff check", "src/x.py", "import os\n"),
        ("ruff format --check", "src/x.py", "x = {  }\n"),
        ("mypy", "src/x.py", "def f(x):\n    return x\n"),
        ("yamllint", ".pre-commit-config.yaml", "repos: [ ]\nrepos: []\n"),
    ],
)
def test_each_linter_finds_a_broken_file(
    tool: str, file: str, text: str, bakery: Bakery, environment: Path, tmp_path: Path
) -> None:
    project = bakery.bake({}, tmp_path)
    (project / file).write_text(text, "utf-8")
    command = [sys.executable, "-m", "yamllint", "--strict", "."]
    if tool != "yamllint":
        command = [str(environment / "bin" / tool.split()[0]), *tool.split()[1:]]
    with pytest.raises(AssertionError):
        run(command, project)
