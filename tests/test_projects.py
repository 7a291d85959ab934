"""The tests of generated projects pass with no server: with uv and with pip, old and new Python."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from conftest import Bakery
from support import UV, python_of, pythons, run
from variants import Answers, pairwise, variant_id

PYTHONS = pythons()
#: pip takes several times as long.
INSTALLERS = ("uv", "uv", "uv", "pip")

#: Every pair of choices; installers and Pythons take turns. What processes depend on is combined in full where
#: fleets run (test_servers.py).
VARIANTS = {variant_id(answers): answers for answers in pairwise()}
HOW = list(product(INSTALLERS, PYTHONS))
RUNS = [
    # The turns shift by one in every round, or one choice would meet the same Python every time.
    pytest.param(*HOW[(number + number // len(HOW)) % len(HOW)], answers, id=name)
    for number, (name, answers) in enumerate(VARIANTS.items())
]


def install(installer: str, version: str, project: Path, environment: Path) -> str:
    """Install a project as its README says, and return its interpreter."""
    if installer == "uv":
        sync = [*UV, "sync", "--quiet", "--python", PYTHONS[version]]
        run(sync, project, UV_PROJECT_ENVIRONMENT=str(environment))
    else:
        run([PYTHONS[version], "-m", "venv", str(environment)], project)
        pip = [python_of(environment), "-m", "pip", "install", "--quiet"]
        run([*pip, "--upgrade", "pip"], project)
        run([*pip, "--editable", ".", "--group", "dev"], project)
    python = python_of(environment)
    assert f"Python {version}." in run([python, "--version"], project)
    return python


@pytest.mark.parametrize(("installer", "version", "answers"), RUNS)
def test_the_tests_of_a_project_pass(
    installer: str, version: str, answers: Answers, bakery: Bakery, tmp_path: Path
) -> None:
    project = bakery.bake(answers, tmp_path)
    python = install(installer, version, project, tmp_path / "environment")
    output = run([python, "-m", "pytest", "--cov", "-p", "no:cacheprovider"], project)
    assert "Required test coverage" in output  # at least 90 % of the package, or pytest fails


def test_a_failing_test_of_a_project_is_seen(bakery: Bakery, tmp_path: Path) -> None:
    project = bakery.bake({"examples": "none"}, tmp_path)
    (project / "tests" / "unit" / "test_broken.py").write_text("def test_broken():\n    assert False\n", "utf-8")
    with pytest.raises(AssertionError, match="1 failed"):
        run([*UV, "run", "--python", next(iter(PYTHONS.values())), "pytest"], project)


@pytest.mark.parametrize("answers", VARIANTS.values(), ids=VARIANTS)
def test_every_dependency_is_declared(answers: Answers, bakery: Bakery, tmp_path: Path) -> None:
    project = bakery.bake(answers, tmp_path)
    # kombu, Celery, SQLAlchemy and Django import these, or they are commands; the project itself imports none.
    ignored = "DEP002=redis|packaging|ephem|eventlet|gevent|gunicorn|psycopg|uvicorn|whitenoise"
    run([*UV, "run", "--with", "deptry>=0.23,<1", "deptry", "--per-rule-ignores", ignored, "src"], project)
