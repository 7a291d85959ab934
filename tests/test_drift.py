"""The projects' test that compares deployment files with the code fails when it should, and says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import Edit, Installed
from servers import Project
from support import UV, python_of, run
from variants import Answers

#: Everything that can start workers.
DEPLOYED: Answers = {"broker": "rabbitmq", "kubernetes": True, "systemd": True, "supervisor": True}

#: A change in one place alone, and what the test says.
DRIFTS: dict[str, tuple[Edit, str]] = {
    "queue": (
        ("src/*/queues.py", '    BULK = "bulk"\n', '    BULK = "bulk"\n    INVOICES = "invoices"\n'),
        "no worker of compose.yaml consumes invoices: add it to --queues of one",
    ),
    "worker": (("Procfile", "--queues io", "--queues io,bulk"), "compose.yaml and Procfile differ"),
    "grace": (
        ("src/*/limits.py", "grace=330", "grace=600"),
        "deploy/systemd is not `grace` in limits.py",
    ),
    "probe": (("deploy/alive", "allowed=60", "allowed=61"), "deploy/alive is not heartbeat_age in limits.py"),
    "variable": (("compose.yaml", "  APP_ENV:", "  APP_NEW: 1\n  APP_ENV:"), "names {'APP_NEW'}: explain it in"),
}


@pytest.fixture(scope="module")
def project(installed: Installed) -> Project:
    """Return a project that is installed with what its tests need."""
    project = installed(DEPLOYED)
    run(
        [*UV, "pip", "install", "--quiet", "--python", python_of(project.environment), "--group", "dev"], project.folder
    )
    return project


def drift(project: Project, folder: Path, *edits: Edit) -> str:
    """Return the output of a project's test after edits of its files, or nothing if it passes."""
    shutil.copytree(project.folder, folder)
    for pattern, old, new in edits:
        (path,) = folder.glob(pattern)
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")
    result = subprocess.run(
        [python_of(project.environment), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/deploy"],
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode in {0, 1}, result.stdout + result.stderr
    return result.stdout if result.returncode else ""


@pytest.mark.parametrize("name", DRIFTS)
def test_a_change_in_one_place_alone_is_told(name: str, project: Project, tmp_path: Path) -> None:
    edit, sentence = DRIFTS[name]
    assert sentence in drift(project, tmp_path / "project", edit)


def test_nothing_drifts_in_a_new_project(project: Project, tmp_path: Path) -> None:
    assert not drift(project, tmp_path / "project")
