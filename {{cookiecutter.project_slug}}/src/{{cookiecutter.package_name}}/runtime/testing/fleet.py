"""The processes of the Procfile, for tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..local import procfile
from . import Project
from .servers import wait_until

#: Seconds to stop. A signal in the very moment in which a task ends makes the prefork pool wait for
#: 30 of them (see worker/prefork.py).
STOP_TIME = 60

#: Seconds. A solo worker cannot renew its lease while a task runs, so its hard limit must fit in.
SOLO_LEASE = 400


class Fleet:
    """Processes of a project on queues that hold nothing.

    Args:
        project: The project.
        urls: The URLs of the servers, as settings.
        folder: The folder in which they run and write their logs.
        modules: A folder with more modules that a worker may be told to load.
    """

    def __init__(self, project: Project, urls: dict[str, str], folder: Path, modules: Path) -> None:
        self.folder, self.package = folder, project.app.main
        self.procfile = procfile.read(project.root / "Procfile")
        self.pool = re.findall(r"--pool \$\{\w+:-(\w+)\}", self.procfile["general"])[0]
        server = project.servers["broker_url"]()
        self.lease = SOLO_LEASE if self.pool == "solo" else server.lease
        queues = project.app.conf.task_queues
        url = urls["broker_url"]
        alone = server.isolated(url, queues, self.lease)
        settings: Any = project.settings
        values = settings(**{**urls, **alone})
        self.app = project.create_app(values)
        self.environment = {
            **os.environ,
            "APP_ENV": "development",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(modules),
        }
        for name, value in values.model_dump(mode="json", exclude_unset=True).items():
            text = value if isinstance(value, str) else json.dumps(value)
            self.environment[f"CELERY_{name.upper()}"] = text
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def workers(self) -> list[str]:
        """Return the names of the workers of the Procfile."""
        return [name for name, command in self.procfile.items() if procfile.is_worker(command)]

    def queues(self, name: str) -> list[str]:
        """Return the names of the queues that a worker consumes."""
        words = self.procfile[name].split()
        return words[words.index("--queues") + 1].split(",")

    def consumer(self, queue: str) -> str:
        """Return the name of a worker that consumes a queue."""
        return next(name for name in self.workers if queue in self.queues(name))

    def start(self, *names: str, **environment: str) -> None:
        """Start processes of the Procfile, with variables more, and wait until all are ready."""
        self.run({name: self.procfile[name] for name in names}, **environment)

    def start_with(self, module: str, *names: str, **environment: str) -> None:
        """Start workers that also know the tasks of a module.

        Args:
            module: The module, in the folder `modules`.
            names: Workers of the Procfile; another name makes one more general worker.
            environment: More variables.
        """
        commands = {}
        for name in names:
            command = self.procfile.get(name)
            command = command or self.procfile["general"].replace("general@", f"{name}@")
            commands[name] = command.replace(f"-A {self.package} ", f"-A {module} ")
        self.run(commands, **environment)

    def run(self, commands: dict[str, str], **environment: str) -> None:
        """Start processes, given by name and command, and wait until all are ready."""
        for name, command in commands.items():
            with (self.folder / f"{name}.log").open("wb") as log:
                self.processes[name] = subprocess.Popen(  # noqa: S603
                    ["/bin/sh", "-c", f"exec {command}"],
                    cwd=self.folder,
                    env=self.environment | environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        wait_until(lambda: all(map(self.is_ready, commands)), timeout=60)

    def is_ready(self, name: str) -> bool:
        """Return whether a process works.

        Raises:
            RuntimeError: It has ended.
        """
        if self.processes[name].poll() is not None:
            raise RuntimeError(f"{name} has ended:\n{self.log(name)}")
        return procfile.READY.search(self.log(name)) is not None

    def log(self, *names: str) -> str:
        """Return what processes wrote, by default all of them."""
        return "".join(
            (self.folder / f"{name}.log").read_text(encoding="utf-8")
            for name in names or self.processes
        )

    def send(self, task: str, *args: object, **options: Any) -> str:
        """Send a task whose result nobody reads and return its id."""
        return str(self.app.send_task(task, args, ignore_result=True, **options).id)

    def stop(self, name: str) -> int:
        """Ask a process to end, and return its exit code.

        Raises:
            RuntimeError: It does not end.
        """
        self.processes[name].terminate()
        try:
            return self.processes[name].wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{name} does not end:\n{self.log(name)}") from None

    def kill(self, name: str) -> None:
        """Kill a process and its children."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def succeeded(self, task: str, *names: str) -> list[str]:
        """Return the ids of a task's calls that have succeeded, by default in all workers."""
        return re.findall(rf"{re.escape(task)}\[([-0-9a-f]+)\] succeeded", self.log(*names))

    def received(self, task: str, name: str) -> list[str]:
        """Return the ids of a task's calls in the order in which a worker took them.

        Its log must have the level DEBUG.
        """
        return re.findall(rf"{re.escape(task)}\[([-0-9a-f]+)\] received", self.log(name))

    def close(self) -> None:
        """End all processes that still run, and the connections of the app."""
        for name, process in self.processes.items():
            if process.poll() is None:
                self.kill(name)
        self.app.close()


@contextmanager
def open_fleet(
    project: Project, urls: dict[str, str], folder: Path, modules: Path
) -> Iterator[Fleet]:
    """Yield a fleet of which nothing runs yet; its tables are in a SQLite of its own.

    Args:
        project: The project.
        urls: The URLs of the servers, as settings.
        folder: The folder in which the processes run and write their logs.
        modules: A folder with more modules that a worker may be told to load.
    """
    with closing(Fleet(project, urls, folder, modules)) as fleet:
        for command in project.prepare:
            subprocess.run(  # noqa: S603
                [sys.executable, *command], cwd=folder, env=fleet.environment, check=True
            )
        yield fleet
