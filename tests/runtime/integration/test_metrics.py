"""The metrics of a real worker on a real broker, as Prometheus reads them."""

from __future__ import annotations

from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from my_celery_project.queues import QueueName, to
from my_celery_project.runtime.observe.settings import Settings
from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import (
    free_port,
    wait_until,
)

pytestmark = pytest.mark.integration

LABELS = {"hostname": "general", "queue_name": QueueName.DEFAULT}


def total(text: str, name: str, task: str) -> float:
    """Return the sum of the samples of a task, and check their labels."""
    found = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels["name"] == task
    ]
    assert all(sample.labels.items() >= LABELS.items() for sample in found)
    return sum(sample.value for sample in found)


def test_the_figures_are_those_of_what_was_sent(fleet: Fleet) -> None:
    port = free_port()
    place = to(QueueName.DEFAULT)
    for _ in range(20):
        fleet.send("heartbeat.beat", **place)
    for _ in range(3):
        fleet.send("tests.needs", "/no/such/file", **place)
    # A process of the pool ends after three tasks, and its figures are not lost with it.
    limits = {"CELERY_WORKER_MAX_TASKS_PER_CHILD": "3"}
    fleet.start_with("failing", "general", APP_METRICS_PORT=str(port), **limits)

    def scraped() -> str:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read(), "utf-8")

    def counted(event: str, task: str) -> float:
        return total(scraped(), f"celery_task_{event}_total", task)

    wait_until(lambda: counted("failed", "tests.needs") == 3)
    wait_until(lambda: counted("succeeded", "heartbeat.beat") == 20)
    assert counted("started", "heartbeat.beat") == counted("received", "heartbeat.beat") == 20
    for name in ("celery_task_runtime_count", "celery_task_queue_wait_time_count"):
        assert total(scraped(), name, "heartbeat.beat") == 20
    assert 'exception="PermanentError"' in scraped()
    assert 'celery_worker_up{hostname="general"} 1.0' in scraped()
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
    fleet.send("heartbeat.beat", **to(QueueName.DEFAULT))
    succeeded = "celery_task_succeeded_total"
    wait_until(lambda: total(file.read_text("utf-8"), succeeded, "heartbeat.beat") == 1)
    assert fleet.stop("general") == 0
    assert not file.exists()


def test_the_settings_are_named_as_the_documents_say() -> None:
    assert {*Settings.model_fields} == {"port", "host", "folder", "interval"}
