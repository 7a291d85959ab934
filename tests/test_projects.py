"""The tests of generated projects pass with no server: with uv and with pip, old and new Python."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from conftest import Bakery
from support import UV, python_of, pythons, run
from variants import Answers, options, rotating, variant_id

PYTHONS = pythons()
INSTALLERS = ("uv", "pip")

#: Everything that a project depends on, in every combination. The pool is another one for each
#: installer and Python, since every run has an environment with no more than the project declares.
RUNS = [
    pytest.param(installer, version, answers, id=f"{installer}-{version}-{variant_id(answers)}")
    for number, (installer, version) in enumerate(product(INSTALLERS, PYTHONS))
    for answers in rotating("broker", "result_backend", "beat", pool=number)
]
#: Fewer files, measured with each pool.
SMALL = [{"pool": pool, "examples": False} for pool in options()["pool"]]


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


@pytest.mark.parametrize("answers", SMALL, ids=variant_id)
def test_the_tests_of_a_project_without_examples_pass(answers: Answers, bakery: Bakery, tmp_path: Path) -> None:
    for broker in options()["broker"]:
        project = bakery.bake({**answers, "broker": broker}, tmp_path / str(broker))
        output = run([*UV, "run", "--python", list(PYTHONS.values())[-1], "pytest", "--cov"], project)
        assert "Required test coverage" in output


def test_a_failing_test_of_a_project_is_seen(bakery: Bakery, tmp_path: Path) -> None:
    project = bakery.bake({"examples": False}, tmp_path)
    (project / "tests" / "unit" / "test_broken.py").write_text("def test_broken():\n    assert False\n", "utf-8")
    with pytest.raises(AssertionError, match="1 failed"):
        run([*UV, "run", "--python", next(iter(PYTHONS.values())), "pytest"], project)


def test_every_dependency_is_declared(bakery: Bakery, tmp_path: Path) -> None:
    for number, answers in enumerate(rotating("broker", "result_backend", "beat", "examples")):
        project = bakery.bake(answers, tmp_path / str(number))
        # kombu and Celery import these; the project itself does not.
        ignored = "DEP002=redis|packaging|ephem"
        run([*UV, "run", "--with", "deptry>=0.23,<1", "deptry", "--per-rule-ignores", ignored, "src"], project)
