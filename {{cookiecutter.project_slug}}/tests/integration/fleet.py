"""The workers of the Procfile, for tests."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import {{ "chdir, " if cookiecutter.__sql }}closing, contextmanager
from pathlib import Path
from typing import Any

{% if cookiecutter.__sql %}
from alembic.command import upgrade
from alembic.config import Config
{% endif %}
from celery import Celery
from servers import ROOT, isolated, wait_until

from {{ cookiecutter.package_name }} import celery, config, queues

PROCFILE: dict[str, str] = dict(
    re.findall(r"(?m)^(\w+): (.+)$", (ROOT / "Procfile").read_text(encoding="utf-8"))
)
WORKERS = [name for name, command in PROCFILE.items() if " worker " in command]

#: The line that a process writes when it is ready.
READY = re.compile(r" ready\.|beat: Starting{{ "|Uvicorn running|Listening at" if cookiecutter._web_commands[cookiecutter.framework] }}")

#: Seconds to stop. A signal in the very moment in which a task ends makes the prefork pool wait for
#: 30 of them (billiard/pool.py, `_ensure_messages_consumed`).
STOP_TIME = 60


def with_tasks(module: str, name: str) -> str:
    """Return the command of a worker that knows the tasks of a module of the tests, too."""
    return PROCFILE[name].replace(f"-A {celery.__package__} ", f"-A {module} ")


class Fleet:
    """Workers in processes of their own, with empty queues.

    Args:
        urls: The URLs of the servers, as settings.
        folder: The folder in which they run and write their logs.
    """

    def __init__(self, urls: dict[str, str], folder: Path) -> None:
        self.folder = folder
        settings = config.Base(**{**urls, **isolated(urls["broker_url"])})
        self.app: Celery = celery.create_app(settings)
        self.environment = {
            **os.environ,
            "APP_ENV": "development",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parent),
        }
        for name, value in settings.model_dump(mode="json", exclude_unset=True).items():
            text = value if isinstance(value, str) else json.dumps(value)
            self.environment[f"CELERY_{name.upper()}"] = text
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, commands: dict[str, str], **environment: str) -> None:
        """Start workers or beat, given by name, and wait until all are ready."""
        for name, command in commands.items():
            with (self.folder / f"{name}.log").open("wb") as log:
                self.workers[name] = subprocess.Popen(
                    ["/bin/sh", "-c", f"exec {command}"],
                    cwd=self.folder,
                    env=self.environment | environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        wait_until(lambda: all(map(self.is_ready, commands)))

    def is_ready(self, name: str) -> bool:
        """Whether a worker or beat works; fail if it has ended."""
        assert self.workers[name].poll() is None, self.log(name)
        return READY.search(self.log(name)) is not None

    def start_with(self, module: str, *names: str, **environment: str) -> None:
        """Start general workers that know the tasks of a module, under names of their own."""
        command = with_tasks(module, "general")
        self.start({name: command.replace("general@", f"{name}@") for name in names}, **environment)

    def log(self, *names: str) -> str:
        """Return what workers wrote, by default all of them."""
        return "".join(
            (self.folder / f"{name}.log").read_text(encoding="utf-8")
            for name in names or self.workers
        )

    def send(self, task: str, *args: object, **options: Any) -> str:
        """Send a task whose result nobody reads and return its id."""
        return str(self.app.send_task(task, args, ignore_result=True, **options).id)

    def beat(
        self, queue: queues.QueueName, priority: queues.Priority = queues.Priority.NORMAL
    ) -> str:
        """Queue a heartbeat and return its id."""
        return self.send("heartbeat.beat", **queues.to(queue, priority))

    def kill(self, name: str) -> None:
        """Kill a worker and its children."""
        os.killpg(self.workers[name].pid, signal.SIGKILL)
        self.workers[name].wait()

    def succeeded(self, task: str, *workers: str) -> list[str]:
        """Return the ids of a task's calls that have succeeded, by default in all workers."""
        return re.findall(rf"{re.escape(task)}\[([-0-9a-f]+)\] succeeded", self.log(*workers))

    def received(self, name: str) -> list[str]:
        """Return the ids of the tasks in the order in which a worker took them."""
        return re.findall(r"heartbeat\.beat\[([-0-9a-f]+)\] received", self.log(name))

    def close(self) -> None:
        """End all workers that still run, and the connections of the app."""
        for name, worker in self.workers.items():
            if worker.poll() is None:
                self.kill(name)
        self.app.close()


@contextmanager
def open_fleet(urls: dict[str, str], folder: Path) -> Iterator[Fleet]:
    """Yield workers that are not started yet{{ ", with tables in a SQLite of their own" if cookiecutter.__sql or cookiecutter.result_backend == "database" }}."""
{% if cookiecutter.__sql %}
    with chdir(folder):
        upgrade(Config(toml_file=ROOT / "pyproject.toml"), "heads")
{% endif %}
    with closing(Fleet(urls, folder)) as fleet:
{% if cookiecutter.__django and cookiecutter.result_backend == "database" %}
        migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=folder, env=fleet.environment, check=True)
{% endif %}
        yield fleet
