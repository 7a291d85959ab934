"""The tests of generated projects pass with no server: with uv and with pip, old and new Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Bakery
from support import UV, python_of, pythons, run
from variants import Answers, Choice, all_variants, options, variant_id

PYTHONS = pythons()
POOLS = options()["pool"]
VARIANTS = list(all_variants("result_backend", "beat"))


def projects(bakery: Bakery, pool: Choice, folder: Path) -> list[Path]:
    """Bake every combination for a pool, the default one first."""
    variants: list[Answers] = [{"pool": pool, **answers} for answers in VARIANTS]
    return [bakery.bake(answers, folder / variant_id(answers)) for answers in variants]


@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("pool", POOLS)
def test_the_tests_of_a_project_pass_with_uv(version: str, pool: Choice, bakery: Bakery, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    pytest_command = [*UV, "run", "--quiet", "--python", PYTHONS[version], "pytest", "-p", "no:cacheprovider"]
    first, *others = projects(bakery, pool, tmp_path)
    small = bakery.bake({"pool": pool, "examples": False}, tmp_path / "small")
    for project in (first, small):  # at least 90 % of the package, or pytest fails
        assert "Required test coverage" in run(
            [*pytest_command, "--cov"], project, UV_PROJECT_ENVIRONMENT=str(environment)
        )
    for project in others:
        assert " passed" in run(pytest_command, project, UV_PROJECT_ENVIRONMENT=str(environment))
    assert f"Python {version}." in run([python_of(environment), "--version"], tmp_path)


@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("pool", POOLS)
def test_the_tests_of_a_project_pass_with_pip(version: str, pool: Choice, bakery: Bakery, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    run([PYTHONS[version], "-m", "venv", str(environment)], tmp_path)
    python = python_of(environment)
    run([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"], tmp_path)
    for project in projects(bakery, pool, tmp_path):
        run([python, "-m", "pip", "install", "--quiet", "--editable", ".", "--group", "dev"], project)
        assert " passed" in run([python, "-m", "pytest", "-p", "no:cacheprovider"], project)


def test_a_failing_test_of_a_project_is_seen(bakery: Bakery, tmp_path: Path) -> None:
    project = bakery.bake({"examples": False}, tmp_path)
    (project / "tests" / "unit" / "test_broken.py").write_text("def test_broken():\n    assert False\n", "utf-8")
    with pytest.raises(AssertionError, match="1 failed"):
        run([*UV, "run", "--python", next(iter(PYTHONS.values())), "pytest"], project)


def test_every_dependency_is_declared(bakery: Bakery, tmp_path: Path) -> None:
    for examples in options()["examples"]:
        project = bakery.bake({"examples": examples}, tmp_path / str(examples))
        # kombu imports these for the broker; the project itself does not.
        ignored = "DEP002=redis|packaging"
        run([*UV, "run", "--with", "deptry>=0.23,<1", "deptry", "--per-rule-ignores", ignored, "src"], project)
