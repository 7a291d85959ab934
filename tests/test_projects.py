"""The tests of generated projects pass with no server: with uv and with pip, old and new Python."""

from __future__ import annotations

import re
from itertools import cycle
from pathlib import Path

import pytest

from conftest import Bakery, Copied
from support import UV, python_of, pythons, run
from test_docs import ADDRESS, block, shell
from variants import TEMPLATE, Answers, cover, pairwise, variant_id

PYTHONS = pythons()
#: pip takes several times as long.
INSTALLERS = ("uv", "uv", "uv", "pip")

#: On each Python every choice, or every pair of choices in the full size; installers take turns. What processes depend
#: on is combined in full where fleets run (test_servers.py).
RUNS = [
    pytest.param(installer, version, answers, id=f"{version}-{variant_id(answers)}")
    for version in PYTHONS
    for installer, answers in zip(cycle(INSTALLERS), cover(pairwise(), version), strict=False)
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
    installer: str, version: str, answers: Answers, copied: Copied, tmp_path: Path
) -> None:
    project = copied(answers, tmp_path)
    python = install(installer, version, project, tmp_path / "environment")
    output = run([python, "-m", "pytest", "--cov", "-p", "no:cacheprovider"], project)
    assert "Required test coverage" in output  # at least 90 % of the package, or pytest fails


def test_a_failing_test_of_a_project_is_seen(copied: Copied, tmp_path: Path) -> None:
    project = copied({"examples": "none"}, tmp_path)
    (project / "tests" / "unit" / "test_broken.py").write_text("def test_broken():\n    assert False\n", "utf-8")
    with pytest.raises(AssertionError, match="1 failed"):
        run([*UV, "run", "--python", next(iter(PYTHONS.values())), "pytest"], project)


def test_a_platform_team_checks_its_variants_as_the_page_says(bakery: Bakery, tmp_path: Path) -> None:
    page = (TEMPLATE / "docs" / "variants-in-ci.md").read_text("utf-8")
    (name,) = re.findall(r"for example `(variants/\S+\.yaml)`", page)
    answers = tmp_path / name
    answers.parent.mkdir()
    answers.write_text(block(page.partition("<!-- variant -->")[2], "yaml"), "utf-8")
    commands = ADDRESS.sub(str(TEMPLATE), block(page.partition("<!-- check -->")[2], "sh"))
    shell(commands, tmp_path, bakery, TEMPLATE_COMMIT="HEAD", UV_PYTHON=next(iter(PYTHONS.values())))
    (project,) = (tmp_path / "build").iterdir()
    assert project.name == answers.stem
    (project / "tests" / "unit" / "test_broken.py").write_text("import os\n", "utf-8")
    with pytest.raises(AssertionError, match="F401"):
        shell(commands.partition("done\n")[2], tmp_path, bakery, UV_PYTHON=next(iter(PYTHONS.values())))
