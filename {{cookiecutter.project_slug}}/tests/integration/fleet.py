"""The workers of the Procfile, for tests."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from celery import Celery
from servers import ROOT, isolated, wait_until

from {{ cookiecutter.package_name }} import celery, config, queues

PROCFILE: dict[str, str] = dict(
    re.findall(r"(?m)^(\w+): (.+)$", (ROOT / "Procfile").read_text(encoding="utf-8"))
)
WORKERS = [name for name, command in PROCFILE.items() if " worker " in command]

#: Seconds to stop. A signal in the very moment in which a task ends makes the prefork pool wait for
#: 30 of them (billiard/pool.py, `_ensure_messages_consumed`).
STOP_TIME = 60


class Fleet:
    """Workers in processes of their own, on queues that hold nothing.

    Args:
        urls: The URLs of the servers, as settings.
        logs: Folder for what the workers write.
    """

    def __init__(self, urls: dict[str, str], logs: Path) -> None:
        self.logs = logs
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

    def start(self, name: str, command: str, **environment: str) -> None:
        """Start a worker or beat and wait until it is ready."""
        with (self.logs / name).open("wb") as log:
            self.workers[name] = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                env=self.environment | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(lambda: self.is_ready(name))

    def is_ready(self, name: str) -> bool:
        """Whether a worker or beat works; fail if it has ended."""
        assert self.workers[name].poll() is None, self.log(name)
        return re.search(r" ready\.|beat: Starting", self.log(name)) is not None

    def start_slow(self, name: str, line: str = "general", **environment: str) -> None:
        """Start a worker that knows the slow task, under a name of its own."""
        command = re.sub(r"-A \w+", "-A slow", PROCFILE[line])
        self.start(name, command.replace(f"{line}@%h", f"{name}@%h"), **environment)

    def log(self, *names: str) -> str:
        """Return what workers wrote, by default all of them."""
        return "".join(
            (self.logs / name).read_text(encoding="utf-8") for name in names or self.workers
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
        """End a worker and its children without warning."""
        os.killpg(self.workers[name].pid, signal.SIGKILL)
        self.workers[name].wait()

    def received(self, name: str) -> list[str]:
        """Return the ids of the tasks in the order in which a worker took them."""
        return re.findall(r"heartbeat\.beat\[([-0-9a-f]+)\] received", self.log(name))

    def close(self) -> None:
        """End all workers that still run, and the connections of the app."""
        for name, worker in self.workers.items():
            if worker.poll() is None:
                self.kill(name)
        self.app.close()
