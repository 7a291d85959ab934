"""The metrics of real processes on a real broker, as Prometheus reads them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from my_celery_project.queues import QueueName, to
from my_celery_project.runtime.observe import processes
from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import (
    free_port,
    wait_until,
)

pytestmark = pytest.mark.integration

PLACE = to(QueueName.DEFAULT)
BEAT = "heartbeat.beat"


def scrape(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read(), "utf-8")


def total(text: str, series: str, /, **labels: str) -> float:
    """Return the sum of the samples with these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == series and labels.items() <= sample.labels.items()
    )


def test_the_figures_are_those_of_what_was_sent(fleet: Fleet, tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "figures"
    for _ in range(20):
        fleet.send(BEAT, **PLACE)
    for _ in range(3):
        fleet.send("tests.needs", "/no/such/file", **PLACE)
    for _ in range(10):
        fleet.send("tests.sends", BEAT, str(QueueName.DEFAULT), **PLACE)
    # A process of the pool ends after three tasks, and its figures are not lost with it.
    variables = {"CELERY_WORKER_MAX_TASKS_PER_CHILD": "3", processes.FOLDER: str(folder)}
    fleet.start_with("failing", "general", APP_METRICS_PORT=str(port), **variables)

    def counted(event: str, task: str) -> float:
        labels = {"hostname": "general", "queue_name": str(QueueName.DEFAULT), "name": task}
        return total(scrape(port), f"celery_task_{event}", **labels)

    wait_until(lambda: counted("failed_total", "tests.needs") == 3)
    wait_until(lambda: counted("succeeded_total", BEAT) == 30)
    assert counted("started_total", BEAT) == counted("received_total", BEAT) == 30
    assert counted("sent_total", BEAT) == 10  # by the worker, not by this test
    assert counted("runtime_count", BEAT) == counted("queue_wait_time_count", BEAT) == 30
    text = scrape(port)
    assert total(text, "celery_task_failed_total", exception="PermanentError") == 3
    assert total(text, "celery_dead_letters_total", reason="failed") == 3
    assert total(text, "celery_worker_up", hostname="general") == 1
    assert total(text, "celery_active_worker_count", queue_name=str(QueueName.DEFAULT)) == 1
    memory = "celery_worker_process_resident_memory_bytes"
    assert total(text, memory, process="main") > 10_000_000
    if fleet.pool == "prefork":  # another process may just be taking its place
        wait_until(lambda: total(scrape(port), memory, process="0") > 10_000_000)
        shared = b"".join(file.read_bytes() for file in folder.glob("*.db"))
        assert b"celery_task_sent" in shared
        assert b"celery_task_succeeded" not in shared  # which the main process alone counts
    assert fleet.stop("general") == 0


def test_a_port_that_is_in_use_is_told_in_one_line(fleet: Fleet) -> None:
    port = str(free_port())
    fleet.start("general", APP_METRICS_PORT=port)
    with pytest.raises(RuntimeError, match=f"Configuration error: APP_METRICS_PORT is {port}, "):
        fleet.start("io", APP_METRICS_PORT=port)


def test_a_worker_without_a_port_writes_a_file(fleet: Fleet, tmp_path: Path) -> None:
    folder = {"APP_METRICS_FOLDER": str(tmp_path / "text"), "APP_METRICS_INTERVAL": "1"}
    fleet.start("general", **folder)
    file = tmp_path / "text" / "celery_general.prom"
    fleet.send(BEAT, **PLACE)
    succeeded = "celery_task_succeeded_total"
    wait_until(lambda: total(file.read_text("utf-8"), succeeded, name=BEAT) == 1)
    assert fleet.stop("general") == 0
    assert not file.exists()


@pytest.fixture
def exported(fleet: Fleet) -> Iterator[Callable[[], str]]:
    """Return a function that asks an exporter."""
    port = free_port()
    command = ["celery", "-A", fleet.package, "exporter", "--port", str(port)]
    with exporter(command, fleet) as process:
        wait_until(lambda: answers(port))
        yield lambda: scrape(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@contextmanager
def exporter(command: list[str], fleet: Fleet) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, cwd=fleet.folder, env=fleet.environment) as process:
        try:
            yield process
        finally:
            process.kill()


def answers(port: int) -> bool:
    try:
        return bool(scrape(port))
    except URLError:
        return False


def test_the_exporter_tells_what_waits_and_takes_nothing(
    fleet: Fleet, exported: Callable[[], str]
) -> None:
    ids = [fleet.send(BEAT, queue=QueueName.DEFAULT, priority=n) for n in (1, 4, 9)]
    fleet.send(BEAT, queue=QueueName.BULK)
    for _ in range(3):
        text = exported()
    assert total(text, "celery_broker_up") == 1
    assert total(text, "celery_queue_length", queue_name=str(QueueName.DEFAULT)) == len(ids)
    assert total(text, "celery_queue_length", queue_name=str(QueueName.BULK)) == 1
    if fleet.app.broker.name == "Redis":
        assert 0 <= total(text, "celery_queue_oldest_age_seconds") < 600
        assert total(text, "celery_broker_memory_bytes") > 100_000
    else:
        assert total(text, "celery_active_consumer_count") == 0
    before = total(text, "celery_dead_letters_stored")
    fleet.send("tests.needs", "/no/such/file", **PLACE)
    fleet.start_with("failing", "general")
    wait_until(lambda: total(exported(), "celery_dead_letters_stored") == before + 1)
    wait_until(lambda: total(exported(), "celery_queue_length") == 0)
    if fleet.app.broker.name != "Redis":
        consumers = total(exported(), "celery_active_consumer_count", queue_name="default")
        assert consumers == 1
