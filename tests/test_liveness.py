"""The liveness files of workers and beat on real servers, and the probe that checks them."""

from __future__ import annotations

import resource
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from conftest import Edit, Running
from servers import Fleet, quick_folder, rabbitmq_server, redis_server
from variants import Answers, each, options, variant_id

#: Seconds after which the probe fails here, and between two touches of the file.
ALLOWED, INTERVAL = 6, 1
SHORT: tuple[Edit, ...] = (
    ("src/*/runtime/worker/liveness.py", "INTERVAL = 5", f"INTERVAL = {INTERVAL}"),
    ("deploy/alive", "allowed=", f"allowed={ALLOWED} #"),
)
POOLS: list[Answers] = [*({"pool": pool} for pool in options()["pool"]), {"broker": "rabbitmq"}]


def probe(fleet: Fleet, name: str) -> bool:
    """Whether the probe says that a process lives."""
    result = subprocess.run(
        [fleet.project.folder / "deploy" / "alive"], env={"HEARTBEAT_PATH": str(fleet.cwd / name)}, check=False
    )
    return result.returncode == 0


def start(fleet: Fleet, name: str, **variables: str) -> None:
    """Start a process of the Procfile with a liveness file."""
    fleet.start(name, HEARTBEAT_PATH=str(fleet.cwd / name), **variables)
    fleet.wait(partial(probe, fleet, name), f"{name} touches its liveness file")


def stays_alive(fleet: Fleet, name: str, until: Callable[[], object], what: str) -> None:
    """Wait for a condition, and longer than the probe allows: it never fails."""
    soonest = time.monotonic() + 2 * ALLOWED

    def over() -> object:
        assert probe(fleet, name), fleet.tails()
        return time.monotonic() > soonest and until()

    fleet.wait(over, what)


@each(POOLS)
def test_a_worker_is_alive_until_its_main_loop_is_stuck(answers: Answers, running: Running) -> None:
    with running(answers, *SHORT, CELERY_WORKER_INCLUDE="probe,stuck") as fleet:
        start(fleet, "general")
        if answers.get("pool") != "solo":  # whose only loop runs the task
            task_id = fleet.send("probe.sleep", 3 * ALLOWED)
            stays_alive(fleet, "general", partial(fleet.has_ended, task_id), "the task ends")
        fleet.processes["general"].send_signal(signal.SIGUSR2)
        fleet.wait(lambda: not probe(fleet, "general"), "the probe finds the stuck worker")


def test_a_worker_that_stops_is_alive_until_its_task_has_ended(running: Running) -> None:
    with running({}, *SHORT) as fleet:
        start(fleet, "general")
        task_id = fleet.send("probe.sleep", 3 * ALLOWED)
        fleet.wait(lambda: fleet.seen(event="start", id=task_id), "the task runs")
        fleet.processes["general"].terminate()
        stays_alive(fleet, "general", partial(fleet.has_ended, task_id), "the task ends")


@each(POOLS)
def test_a_worker_is_alive_while_its_broker_is_away(answers: Answers, running: Running) -> None:
    with running(answers, *SHORT) as fleet, quick_folder() as folder:
        config = fleet.project.folder / "deploy" / "rabbitmq.conf"
        server = rabbitmq_server(folder, config) if answers.get("broker") == "rabbitmq" else redis_server(folder)
        with server as url:
            start(fleet, "general", CELERY_BROKER_URL=url)
        stays_alive(fleet, "general", partial(retries, fleet), "it tries to connect")
        assert fleet.processes["general"].poll() is None


def retries(fleet: Fleet) -> bool:
    """Whether a worker looks for its broker."""
    return "Trying again in" in fleet.log("general")


@pytest.mark.parametrize("answers", [{}, {"beat": "redbeat"}], ids=variant_id)
def test_beat_is_alive_until_it_looks_no_more(answers: Answers, running: Running) -> None:
    with running(answers, *SHORT) as fleet:
        start(fleet, "beat")
        stays_alive(fleet, "beat", lambda: True, "time goes by")
        fleet.processes["beat"].send_signal(signal.SIGSTOP)
        fleet.wait(lambda: not probe(fleet, "beat"), "the probe finds the stuck beat")


def test_the_probe_costs_next_to_nothing(running: Running, tmp_path: Path, summary: Callable[[str], None]) -> None:
    with running({}, *SHORT) as fleet:
        (fleet.cwd / "file").touch()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert all(probe(fleet, "file") for _ in range(20))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cost = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        summary(f"processor time of a probe: {cost / 20 * 1000:.1f} ms")
