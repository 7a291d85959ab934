"""The documents are correct, and their commands work."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from conftest import Bakery
from support import inherited, repository
from variants import TEMPLATE, Answers, Choice, options, pairwise, prompted, variant_id

README = (TEMPLATE / "README.md").read_text("utf-8")
GENERATE = (TEMPLATE / "docs" / "generate.md").read_text("utf-8")

#: Where documents find the template.
ADDRESS = re.compile(r"gh:org/celery-template|https://github\.com/org/celery-template")


def block(text: str, language: str, number: int = 0) -> str:
    """Return a fenced block of a document."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return found[number]


def test_the_page_of_options_is_written_from_the_questions() -> None:
    page = runpy.run_path(str(TEMPLATE / "docs" / "options.py"))["page"]()
    assert page == (TEMPLATE / "docs" / "options.md").read_text("utf-8"), "run python3 docs/options.py"
    for name in prompted():
        assert f"`{name}`" in page
        for choice in options().get(name, []):
            assert f"`{str(choice).lower() if isinstance(choice, bool) else choice}`" in page


def test_the_queue_diagram_is_the_one_of_the_default_project(
    baked: Callable[[Mapping[str, Choice]], Path],
) -> None:
    assert block(README, "mermaid") == block((baked({}) / "README.md").read_text("utf-8"), "mermaid")


def published(folder: Path, place: str) -> dict[str, str]:
    """Make a repository of the template as it is here, and return variables by which the README's address leads there.

    Args:
        folder: Folder of the repository.
        place: Its path where these variables will be used.
    """
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns(".git", ".nox", ".venv", ".*_cache"))
    repository(folder)
    (address,) = re.findall(r"git clone (\S+)", README)
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{place}.insteadOf", "GIT_CONFIG_VALUE_0": address}


def test_the_first_commands_give_a_project_on_a_machine_with_only_python(tmp_path: Path, bakery: Bakery) -> None:
    source = tmp_path / "published"
    result = subprocess.run(
        ["/bin/bash", "-ec", block(README, "sh")],
        cwd=tmp_path,
        env={**os.environ, **bakery.environment, **published(source, str(source))},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "my-celery-project" / "pyproject.toml").is_file()


def test_the_first_command_refuses_a_python_that_is_too_old_for_a_project(baked: Callable[[Answers], Path]) -> None:
    """It does so before the first question, because pip compares the version with what a package requires."""
    assert "pip install -q ." in block(README, "sh")
    files = (TEMPLATE / "pyproject.toml", baked({}) / "pyproject.toml")
    required = {tomllib.loads(file.read_text("utf-8"))["project"]["requires-python"] for file in files}
    (version,) = required
    assert f"Python {version.removeprefix('>=')} or newer" in README


@pytest.mark.parametrize(
    ("number", "folder", "record"),
    [(0, "my-celery-project", None), (1, "my-shop", None), (3, "my-shop", ".cruft.json"), (4, "my-shop", ".git")],
)
def test_the_commands_that_generate_a_project_do(
    number: int, folder: str, record: str | None, bakery: Bakery, tmp_path: Path
) -> None:
    shell(ADDRESS.sub(str(TEMPLATE), block(GENERATE, "sh", number)), tmp_path, bakery)
    project = tmp_path / folder
    assert (project / "pyproject.toml").is_file()
    assert record is None or (project / record).exists()


def shell(commands: str, folder: Path, bakery: Bakery, **variables: str) -> str:
    """Run commands of a document, with Enter for each question, and return what they wrote."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        ["/bin/bash", "-euc", commands],
        cwd=folder,
        env={**inherited(), **bakery.environment, "PATH": path, **variables},
        input="\n" * 99,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_ci_calls_the_test_command_of_the_readme() -> None:
    script = (TEMPLATE / ".ci" / "run").read_text("utf-8")
    (extraction,) = re.findall(r"^command=\$\((.*)\)$", script, re.MULTILINE)
    result = subprocess.run(["/bin/bash", "-c", extraction], cwd=TEMPLATE, capture_output=True, text=True, check=True)
    assert result.stdout == block(README.partition("<!-- test command -->")[2], "sh")


@pytest.mark.parametrize(
    "document",
    ["README.md", "CONTRIBUTING.md", *(path.relative_to(TEMPLATE).as_posix() for path in TEMPLATE.glob("docs/*.md"))],
)
def test_links_and_paths_in_documents_exist(document: str) -> None:
    text = (TEMPLATE / document).read_text("utf-8")
    paths = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    if document == "CONTRIBUTING.md":
        paths += re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
        assert paths
    for path in paths:
        assert (TEMPLATE / document).parent.joinpath(path).exists(), path


#: Lines that the README of a project may have: a reader sees all of it at once.
LENGTH = 120


@pytest.mark.parametrize("answers", pairwise(), ids=variant_id)
def test_every_page_of_a_project_is_one_link_away_from_a_short_readme(
    answers: Answers, baked: Callable[[Answers], Path]
) -> None:
    project = baked(answers)
    readme = (project / "README.md").read_text("utf-8")
    assert len(readme.splitlines()) <= LENGTH
    pages = {path.relative_to(project).as_posix() for path in project.glob("docs/*.md")}
    assert pages
    assert pages == {link for link in links(readme) if link.startswith("docs/")}
    for page in ["README.md", *pages]:
        text = (project / page).read_text("utf-8")
        assert [link for link in links(text) if not (project / page).parent.joinpath(link).exists()] == []
        prose = re.sub(r"(?ms)^```.*?^```$", "code", text)
        assert not re.search(r"\n\n\n|\n\n$", prose), f"{page} has blank lines that nobody wrote"


def links(text: str) -> list[str]:
    """Return the links of a document to files beside it."""
    return re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", text)
