"""Projects of an earlier commit of the template, and their owners, who have cruft."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support import git, inherited

if TYPE_CHECKING:
    from conftest import Bakery

#: The last commit of the template before the machinery of a project moved into `runtime/`.
OLD = "500fdf54606f095bfcdedefd3c0be4b52030b308"


def commit(project: Path, message: str) -> None:
    """Commit all that there is."""
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", f"--message={message}")


@dataclass(frozen=True)
class Owner:
    """Somebody with cruft, and a clone of the template beside the project.

    Args:
        bakery: Keeps what is the user's apart.
        template: The clone.
    """

    bakery: Bakery
    template: Path

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables of the owner's shell."""
        scripts = str(Path(sys.executable).parent)
        return {
            **{name: value for name, value in inherited().items() if not name.startswith(("PYTEST_", "CELERY_"))},
            **self.bakery.environment,
            "PATH": f"{scripts}:{os.environ['PATH']}",
            **{
                f"GIT_{who}_{what}": "owner@example.com"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }

    def create(self, answers: Mapping[str, object], folder: Path, checkout: str = OLD) -> Path:
        """Make a project from an earlier commit of the template, and commit it."""
        options = ["--checkout", checkout, "--no-input", "--output-dir", str(folder)]
        self.run(folder, "cruft", "create", str(self.template), *options, "--extra-context", json.dumps(answers))
        (project,) = folder.iterdir()
        git(project, "init", "--quiet", "--initial-branch=main")
        commit(project, "generated")
        return project

    def run(self, folder: Path, *command: str, ends: int = 0, variables: Mapping[str, str] | None = None) -> str:
        """Run a command, which must end with this code, and return what it wrote."""
        folder.mkdir(parents=True, exist_ok=True)
        result = subprocess.run(
            command,
            cwd=folder,
            env={**self.variables, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert result.returncode == ends, result.stdout
        return result.stdout

    def shell(self, folder: Path, script: str, ends: int = 0, variables: Mapping[str, str] | None = None) -> str:
        """Run commands of the document until one fails."""
        return self.run(folder, "/bin/bash", "-e", "-c", script, ends=ends, variables=variables)
