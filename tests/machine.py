"""A Debian 12 in a container that keeps no data: one with systemd that is booted, or one that a new user enters."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from servers import MADE, PROBE, missing, needed, wait_until
from support import UV, run

#: The variables that name roots of a Debian 12, with systemd, Redis and Python, or with what a new user has:
#: `.ci/run` makes both.
SYSTEMD, NEWCOMER = "SYSTEMD_ROOT", "NEWCOMER_ROOT"

#: The Python of that Debian.
PYTHON = "3.11"

#: Where root finds programs in it.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

#: Where the probe is in the machine.
PROBE_INSIDE = "/srv/probe"


class Machine:
    """A machine that runs.

    Args:
        first: Number of its first process, as seen from here.
    """

    def __init__(self, first: int) -> None:
        self.first = first

    def run(self, *command: str, code: int | None = 0) -> str:
        """Run a command in the machine as root, and return what it wrote.

        Args:
            command: The command.
            code: The exit code that it must have, if any.
        """
        inside = ["nsenter", f"--target={self.first}", "--all", "env", "--ignore-environment", f"PATH={PATH}"]
        result = subprocess.run(
            [*inside, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert code in (None, result.returncode), f"{' '.join(command)}: {result.returncode}\n{result.stdout}"
        return result.stdout

    def path(self, path: str) -> Path:
        """Return the path of a file of the machine, as seen from here."""
        return Path(f"/proc/{self.first}/root{path}")

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Return properties of a unit."""
        output = self.run("systemctl", "show", f"--property={','.join(names)}", unit)
        return dict(line.split("=", 1) for line in output.splitlines())

    def is_up(self) -> bool:
        """Whether systemd has started everything."""
        return self.run("systemctl", "is-system-running", code=None).strip() in ("running", "degraded")


def needed_root(variable: str = SYSTEMD) -> str:
    """Return the root of a variable; without it, or without the right to use it, skip the test, or fail it in CI."""
    if not (root := os.environ.get(variable)):
        missing(f"the Debian 12 that {variable} names", MADE)
    if os.geteuid():
        missing("the right to start a machine", "run the tests as root")
    return root


@contextmanager
def machine(log: Path, folders: Mapping[str, Path]) -> Iterator[Machine]:
    """Boot a machine that has no network.

    Args:
        log: Where its console is kept.
        folders: Folders of this machine that it can read, by their path in it.
    """
    binds = [f"--bind-ro={outside}:{inside}" for inside, outside in {PROBE_INSIDE: PROBE, **folders}.items()]
    with container(needed_root(), log, Machine.is_up, "--boot", "--private-network", *binds) as booted:
        yield booted


@contextmanager
def container(root: str, log: Path, is_up: Callable[[Machine], bool], *words: str) -> Iterator[Machine]:
    """Start a machine from a root; everything that it writes is in memory and lost at its end.

    Args:
        root: The root, which stays as it is.
        log: Where the console is kept.
        is_up: Whether the machine has started.
        words: Options of `systemd-nspawn`, and the command that runs in it.
    """
    options = ["--quiet", "--register=no", "--keep-unit", "--console=pipe"]
    place = [f"--directory={root}", "--volatile=overlay", f"--machine=test-{os.getpid()}"]
    with log.open("wb") as output:
        nspawn = subprocess.Popen(
            [needed("systemd-nspawn"), *options, *place, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    explain = partial(log.read_text, "utf-8", "replace")
    try:
        # Its first child is a temporary one, which starts the one that stays.
        wait_until(
            lambda: any(is_up(Machine(first)) for first in children(nspawn)), "the machine is up", explain=explain
        )
        (first,) = children(nspawn)
        yield Machine(first)
    finally:
        nspawn.terminate()  # which lets it shut down
        try:
            nspawn.wait(60)
        except subprocess.TimeoutExpired:
            for process in (*children(nspawn), nspawn.pid):
                os.kill(process, signal.SIGKILL)
            nspawn.wait()


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the numbers of the children of a process."""
    assert process.poll() is None, f"systemd-nspawn ended with {process.returncode}"
    return [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def install(folder: Path, place: str, *more: str) -> None:
    """Install a project into `.venv` in its folder, for the Python of the machine.

    Args:
        folder: The folder of the project.
        place: Its path in the machine.
        more: Packages besides those that it declares.
    """
    environment = folder / ".venv"
    packages, programs = environment / "lib" / f"python{PYTHON}" / "site-packages", environment / "bin"
    there = ["--python-version", PYTHON, "--python-platform", f"{platform.machine()}-manylinux_2_28"]
    command = [*UV, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(packages), *there]
    run([*command, "--only-binary", ":all:", "-r", "pyproject.toml", *more], folder)
    run([*command, "--no-deps", "."], folder)
    (packages / "bin").rename(programs)
    for program in programs.iterdir():
        first, _, rest = program.read_text("utf-8").partition("\n")
        assert first == f"#!{sys.executable}", f"{program} starts with {first}"
        program.write_text(f"#!{place}/.venv/bin/python\n{rest}", "utf-8")
    (programs / "python").symlink_to("/usr/bin/python3")
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n", "utf-8")
