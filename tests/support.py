"""Interpreters and environments that the tests of generated projects share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

OLDEST = (3, 11)
NEWEST = (3, 14)

#: uv, from the environment of the tests.
UV = [sys.executable, "-m", "uv"]


def inherited() -> dict[str, str]:
    """Return the variables of this process without those of nox, by which uv would install into its environments."""
    return {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"}}


def run(command: list[str], cwd: Path, **environment: str) -> str:
    """Run a command and return its output; if it fails, fail with the whole output.

    No virtual environment of the caller leaks in, and no shim stands for an interpreter.
    """
    result = subprocess.run(
        command,
        cwd=cwd,
        env={**inherited(), "UV_PYTHON_DOWNLOADS": "never", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, f"{' '.join(command)} in {cwd}:\n{result.stdout}"
    return result.stdout


def works(python: str) -> bool:
    """Whether an interpreter can be run; a shim of pyenv may point to none."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def pythons() -> Mapping[str, str]:
    """Return the oldest and the newest interpreter present that generated projects support."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found: dict[str, str] = {}
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        version = f"3.{minor}"
        installed = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
        candidates = [shutil.which(f"python{version}"), *map(str, reversed(installed))]
        if sys.version_info[:2] == (3, minor):
            candidates.insert(0, sys.executable)
        real = [path for path in candidates if path and works(path)]
        if real:
            found[version] = real[0]
    versions = list(found)
    return {version: found[version] for version in dict.fromkeys((versions[0], versions[-1]))}


def python_of(environment: Path) -> str:
    """Return the interpreter of a virtual environment."""
    return str(environment / "bin" / "python")


def git(folder: Path, *arguments: str) -> None:
    """Run git without the user's configuration."""
    identity = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.com"]
    plain = ["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"]
    subprocess.run(["git", *identity, *plain, *arguments], cwd=folder, check=True)


def repository(folder: Path) -> None:
    """Make a folder a repository, with its whole content in one commit."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")
