"""The workers of the Procfile on a real Redis.

TEST_BROKER_URL names one; without it the tests start their own where `redis-server` is installed.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from {{ cookiecutter.package_name }} import celery, queues
from {{ cookiecutter.package_name }}.config import base

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PROCFILE = dict(re.findall(r"(?m)^(\w+): (.+)$", (ROOT / "Procfile").read_text(encoding="utf-8")))
WORKERS = [name for name, command in PROCFILE.items() if " worker " in command]
VISIBILITY_TIMEOUT = {{ 400 if cookiecutter.pool == "solo" else 3 }}


def wait_until(condition: Callable[[], object], timeout: float = 30) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


def accepts(port: int) -> bool:
    """Whether a server listens on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a Redis."""
    if url := os.environ.get("TEST_BROKER_URL"):
        yield url
        return
    binary = shutil.which("redis-server")
    if binary is None:
        reason = "neither TEST_BROKER_URL nor redis-server is there"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    options = {"port": port, "bind": "127.0.0.1", "dir": folder, "save": ""}
    arguments = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    with subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL) as server:
        wait_until(lambda: accepts(port))
        yield f"redis://127.0.0.1:{port}/0"
        server.terminate()


class Fleet:
    """Workers in processes of their own, with keys of their own in the broker."""

    def __init__(self, broker_url: str, logs: Path) -> None:
        self.logs = logs
        options = base.BrokerTransportOptions(
            visibility_timeout=VISIBILITY_TIMEOUT,
            unacked_restore_interval=0.5,
            global_keyprefix=f"test-{uuid.uuid4()}-",
        )
        urls: dict[str, Any] = {"broker_url": broker_url{{ ', "result_backend": broker_url' if cookiecutter.result_backend == "redis" }}}
        self.app: Celery = celery.create_app(base.Base(**urls, broker_transport_options=options))
        self.environment = {
            **os.environ,
            "APP_ENV": "development",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parent),
            **{f"CELERY_{name.upper()}": url for name, url in urls.items()},
            "CELERY_BROKER_TRANSPORT_OPTIONS": options.model_dump_json(),
        }
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: str, **environment: str) -> None:
        """Start a worker and wait until it is ready."""
        with (self.logs / name).open("wb") as log:
            self.workers[name] = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                env=self.environment | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(lambda: " ready." in self.log(name))

    def start_slow(self, name: str) -> None:
        """Start a worker that knows the slow task."""
        self.start(name, re.sub(r"-A \w+", "-A slow", PROCFILE["general"]))

    def log(self, *names: str) -> str:
        """Return what workers wrote, by default all of them."""
        return "".join(
            (self.logs / name).read_text(encoding="utf-8") for name in names or self.workers
        )

    def send(
        self, queue: queues.QueueName, priority: queues.Priority = queues.Priority.NORMAL
    ) -> str:
        """Queue a heartbeat and return its id."""
        result = self.app.send_task("heartbeat.beat", queue=queue.value, priority=priority.value)
        return str(result.id)

    def kill(self, name: str) -> None:
        """End a worker and its children without warning."""
        os.killpg(self.workers[name].pid, signal.SIGKILL)
        self.workers[name].wait()

    def received(self, name: str) -> list[str]:
        """Return the ids of the tasks in the order in which a worker took them."""
        return re.findall(r"heartbeat\.beat\[([-0-9a-f]+)\] received", self.log(name))


@pytest.fixture
def fleet(broker_url: str, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(broker_url, tmp_path)
    yield fleet
    for name, worker in fleet.workers.items():
        if worker.poll() is None:
            fleet.kill(name)


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_runs_the_tasks_of_its_queues_and_stops_cleanly(name: str, fleet: Fleet) -> None:
    fleet.start(name, PROCFILE[name])
    words = PROCFILE[name].split()
    for queue in words[words.index("--queues") + 1].split(","):
        task_id = fleet.send(queues.QueueName(queue))
        wait_until(lambda: f"[{task_id}] succeeded" in fleet.log())  # noqa: B023
    fleet.workers[name].terminate()
    assert fleet.workers[name].wait(30) == 0


def test_urgent_work_overtakes_a_backlog(fleet: Fleet) -> None:
    bulk = [fleet.send(queues.QueueName.BULK, queues.Priority.LOW) for _ in range(200)]
    urgent = fleet.send(queues.QueueName.CRITICAL, queues.Priority.HIGH)
    fleet.start("general", PROCFILE["general"], GENERAL_CONCURRENCY="1")
    wait_until(lambda: len(fleet.received("general")) == len(bulk) + 1)
    assert urgent in fleet.received("general")[:2]


def test_a_high_priority_overtakes_in_its_queue(fleet: Fleet) -> None:
    low = [fleet.send(queues.QueueName.DEFAULT, queues.Priority.LOW) for _ in range(100)]
    high = fleet.send(queues.QueueName.DEFAULT, queues.Priority.HIGH)
    fleet.start("general", PROCFILE["general"], GENERAL_CONCURRENCY="1")
    wait_until(lambda: len(fleet.received("general")) == len(low) + 1)
    assert fleet.received("general")[0] == high
{% if cookiecutter.pool != "solo" %}


def test_a_task_and_an_eta_longer_than_the_visibility_timeout_run_once(fleet: Fleet) -> None:
    fleet.start_slow("one")
    fleet.start_slow("two")
    fleet.app.send_task("tests.slow", (3 * VISIBILITY_TIMEOUT,))
    fleet.app.send_task("tests.slow", (0,), countdown=3 * VISIBILITY_TIMEOUT)
    wait_until(lambda: fleet.log().count("slow ended") == 2)
    time.sleep(VISIBILITY_TIMEOUT)
    assert fleet.log().count("slow started") == 2


def test_a_stopping_worker_keeps_its_task(fleet: Fleet) -> None:
    fleet.start_slow("one")
    fleet.start_slow("two")
    fleet.app.send_task("tests.slow", (3 * VISIBILITY_TIMEOUT,))
    wait_until(lambda: "slow started" in fleet.log())
    holder, other = ("one", "two") if "slow started" in fleet.log("one") else ("two", "one")
    fleet.workers[holder].terminate()
    assert fleet.workers[holder].wait(30) == 0
    assert "slow ended" in fleet.log(holder)
    assert "slow started" not in fleet.log(other)


def test_the_task_of_a_killed_worker_runs_elsewhere(fleet: Fleet) -> None:
    fleet.start_slow("one")
    fleet.app.send_task("tests.slow", (120,))
    wait_until(lambda: "slow started" in fleet.log("one"))
    fleet.start_slow("two")
    fleet.kill("one")
    wait_until(lambda: "slow started" in fleet.log("two"), timeout=VISIBILITY_TIMEOUT + 12)
{% endif %}
