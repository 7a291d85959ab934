"""Running the processes of a Procfile: their lines, their ends, reloading, and stopping.

Each process is the leader of a session of its own, so that Ctrl-C reaches this program alone. It
asks the leaders to stop, and never the processes that they have made: these would end in the middle
of their tasks.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import MappingProxyType
from typing import IO, Any

from . import procfile
from .output import Output

#: Lines that are hidden until a process is ready, unless it ends before.
DULL = re.compile(r"\bINFO\b")

#: The first line of an error that ends a process.
TRACEBACK = "Traceback (most recent call last):"

#: A line of a log, which is no part of such an error.
LOGGED = re.compile(r"\b(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")

#: What Celery says about signals, which do not come from the terminal here.
SHUTDOWN = re.compile(r"worker: (Warm shutdown|Cold shutdown|Hitting Ctrl)")

#: What gunicorn goes on to say when it listens.
BOOTING = re.compile(r"\[INFO *\] (Using|Booting) worker")

#: What Celery warns of when a worker runs as root, which is nothing new to a developer.
AS_ROOT = "ignore:You're running the worker with superuser privileges"

#: What Ctrl-C does the first and the second time.
STOPPING = {
    1: "stopping after the running tasks; Ctrl-C again puts them back",
    2: "putting the running tasks back, for the next start; Ctrl-C kills all",
}

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Seconds to wait for the last lines of a process that has ended.
LAST_LINES = 1


class Process:
    """A process of a Procfile.

    Args:
        name: Its name.
        command: Its command, for a shell.
        post: Called from other threads with a function that the main thread then calls.
        file: An open file that it inherits.
    """

    def __init__(
        self,
        name: str,
        command: str,
        post: Callable[[Callable[[], Any]], None],
        file: IO[bytes] | None = None,
    ) -> None:
        self.name, self.command, self.post, self.file = name, command, post, file
        self.popen: subprocess.Popen[bytes] | None = None
        self.is_ready = self.restarts = self.was_reloaded = self.has_failed = False
        self.held: list[str] = []

    def start(self, on_line: Callable[..., None], on_end: Callable[..., None]) -> None:
        """Start it; call `on_line` with each line, and `on_end` with its exit code."""
        self.is_ready = self.restarts = self.has_failed = False
        self.held = []
        quiet = re.sub(r"^celery ", "celery --quiet ", self.command)  # without banners
        self.popen = popen = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", f"exec {leash()}{quiet}"],
            env={**os.environ, **environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[self.file.fileno()] if self.file else [],
        )

        def read(pipe: IO[bytes]) -> None:
            with pipe:
                for line in pipe:
                    self.post(partial(on_line, self, line.decode("utf-8", "replace").rstrip()))

        def wait(reader: Thread) -> None:
            code = popen.wait()
            reader.join(LAST_LINES)
            self.post(partial(on_end, self, code))

        reader = Thread(target=read, args=(popen.stdout,), daemon=True)
        reader.start()
        Thread(target=wait, args=(reader,), daemon=True).start()

    def send(self, sign: signal.Signals) -> None:
        """Send a signal to the leader, if it runs."""
        if self.popen:
            self.popen.send_signal(sign)

    def kill(self) -> None:
        """Kill all processes of the session, if there are any."""
        if self.popen:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, signal.SIGKILL)


@cache
def leash() -> str:
    """Return what stands before a command so that it ends with this program, however that ends.

    Nobody can catch a `kill -9`, but Linux can tell the children: setpriv, of util-linux 2.33 and
    later, asks it to. Without one, processes go on until somebody ends them.
    """
    words = ["setpriv", "--pdeathsig", "TERM"]
    with suppress(OSError):
        done = subprocess.run([*words, "true"], capture_output=True, check=False)  # noqa: S603
        return f"{' '.join(words)} " if done.returncode == 0 else ""
    return ""


def environment() -> dict[str, str]:
    """Return variables for the processes."""
    warnings = filter(None, (os.environ.get("PYTHONWARNINGS"), AS_ROOT))
    return {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": ",".join(warnings),
    }


def ending(code: int) -> str:
    """Return how a process has ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"


class Runner:
    """Runs processes until one of them ends, or until a signal says so.

    Args:
        commands: The commands by the names of the processes.
        output: Where lines go.
        greeting: The line to write when all are ready.
        hide: Whether uninteresting lines are hidden while a process starts.
        files: Open files that processes inherit, by their names.
    """

    def __init__(
        self,
        commands: Mapping[str, str],
        output: Output,
        greeting: str,
        *,
        hide: bool = True,
        files: Mapping[str, IO[bytes]] = MappingProxyType({}),
    ) -> None:
        self.events: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self.output, self.greeting, self.hide = output, greeting, hide
        self.processes = [
            Process(*row, self.events.put, files.get(row[0])) for row in commands.items()
        ]
        self.stops = 0
        self.failure = self.shown = ""

    def run(self) -> str:
        """Run until everything has ended; return why, or "" if a signal came.

        The signals that stop it are ignored from then on.
        """
        for sign in SIGNALS:
            # Respect nohup. But a shell without job control starts background jobs with SIGINT
            # ignored, and whoever sends them one means it.
            if sign != signal.SIGHUP or signal.getsignal(sign) != signal.SIG_IGN:
                signal.signal(sign, self.on_signal)
        try:
            for process in self.processes:
                self.start(process)
            while any(process.popen for process in self.processes) or not self.stops:
                self.events.get()()
        finally:
            for process in self.processes:
                process.kill()
            for sign in SIGNALS:  # nothing may interrupt what is left to do
                signal.signal(sign, signal.SIG_IGN)
        return self.failure

    def start(self, process: Process) -> None:
        """Start a process."""
        process.start(self.on_line, self.on_end)

    def watch(self, process: subprocess.Popen[bytes], name: str) -> None:
        """Stop if another process ends, such as the server."""

        def wait() -> None:
            code = process.wait()
            self.events.put(lambda: self.fail(f"{name} {ending(code)}"))

        Thread(target=wait, daemon=True).start()

    def on_line(self, process: Process, line: str) -> None:
        """Show a line of a process, unless it is empty or says nothing new."""
        stops = self.stops or process.restarts
        if not line or (self.hide and ((stops and SHUTDOWN.match(line)) or BOOTING.search(line))):
            return
        if process.has_failed and LOGGED.search(line):  # it goes on
            self.show(process)
        elif line == TRACEBACK:
            process.has_failed = not process.is_ready
        if self.hide and not process.is_ready and (process.has_failed or DULL.search(line)):
            process.held.append(line)
        else:
            self.output.line(line, process.name)
        if not process.is_ready and procfile.READY.search(line):
            process.is_ready, process.held = True, []
            self.output.line("ready", process.name)
            ready = (each.is_ready and not each.restarts for each in self.processes)
            if not self.stops and all(ready):
                self.output.line(self.greeting)

    def on_end(self, process: Process, code: int) -> None:
        """Start a process again that was to restart; otherwise stop the others."""
        process.kill()  # what it has left behind
        process.popen = None
        if self.stops:
            return
        if process.restarts:
            self.start(process)
            return
        self.show(process)
        if process.was_reloaded and not process.is_ready:
            self.output.line(f"{ending(code)}: waiting until the next change", process.name)
            return
        self.fail(f"{process.name} {ending(code)}")

    def show(self, process: Process) -> None:
        """Show the lines that were held, or the last if another process has failed alike."""
        lines = process.held
        if process.has_failed and lines[-1] == self.shown:
            lines = lines[-1:]
        elif process.has_failed:
            self.shown = lines[-1]
        for line in lines:
            self.output.line(line, process.name)
        process.has_failed, process.held = False, []

    def on_change(self, paths: list[str], fault: str | None) -> None:
        """Restart all processes because files have changed.

        Args:
            paths: The files.
            fault: Why they cannot be used, if so.
        """
        if self.stops:
            return
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        if fault:
            runs = any(process.popen for process in self.processes)
            then = "the old code runs on" if runs else "waiting"
            self.output.line(f"{fault}: {then} until the next change")
            return
        self.shown = ""
        self.output.line(f"{paths[0]}{more} changed: restarting")
        for process in self.processes:
            process.was_reloaded = True
            if process.popen is None:
                self.start(process)
            elif not process.restarts:
                process.restarts = True
                process.send(signal.SIGTERM)

    def on_signal(self, number: int, _: object) -> None:
        """Stop, from the main loop: a handler may run in the middle of anything.

        Only Ctrl-C counts several times. A SIGTERM may come twice, because make passes it on.
        """
        self.events.put(self.stop if number == signal.SIGINT else self.stop_once)

    def stop_once(self) -> None:
        """Ask all processes to stop, unless they were asked already."""
        if not self.stops:
            self.stop()

    def fail(self, reason: str) -> None:
        """Stop because a process has ended."""
        if not self.stops:
            self.failure = reason
            self.output.line(f"{reason}: stopping the others")
            self.stop()

    def stop(self) -> None:
        """Ask all processes to stop; the second time, to put tasks back; the third, kill them."""
        self.stops += 1
        if self.stops in STOPPING and not (self.stops == 1 and self.failure):
            self.output.line(STOPPING[self.stops])
        for process in self.processes:
            if self.stops > 2:
                process.kill()
            elif self.stops == 2 and procfile.is_worker(process.command):
                process.send(signal.SIGQUIT)
            else:
                process.send(signal.SIGTERM)
