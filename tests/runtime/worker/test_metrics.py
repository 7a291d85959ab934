"""What a worker counts, in memory: every way in which a task can end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Reject
from celery.signals import after_task_publish, task_received
from celery.worker import state
from kombu.exceptions import OperationalError
from prometheus_client import CollectorRegistry

from my_celery_project.celery import app
from my_celery_project.queues import QueueName
from my_celery_project.runtime.config.environment import ConfigurationError
from my_celery_project.runtime.context import SENT_HEADER
from my_celery_project.runtime.errors import (
    PermanentError,
    TransientError,
)
from my_celery_project.runtime.observe import (
    metrics,
    offering,
)
from my_celery_project.runtime.observe.state import WorkerState
from my_celery_project.runtime.observer import NOTHING, observer
from my_celery_project.runtime.testing.servers import wait_until

HOST = "tested"


@app.task(name="tests.counted", bind=True, max_retries=1, retry_backoff=False, retry_jitter=False)
def counted(self: Any, what: str = "") -> None:
    if what == "fails":
        raise PermanentError("on purpose")
    if what == "is tried again" and not self.request.retries:
        raise TransientError("once")
    if what == "rejects":
        raise Reject("on purpose", requeue=False)


@pytest.fixture(autouse=True)
def recorder(worker: None) -> Iterator[None]:
    recorder = metrics.Recorder(HOST, {*app.tasks}, {*app.amqp.queues})
    app.observer = recorder
    task_received.connect(recorder.received)
    after_task_publish.connect(recorder.sent)
    yield
    after_task_publish.disconnect(recorder.sent)
    task_received.disconnect(recorder.received)
    app.observer = NOTHING


def value(series: str, /, **labels: str) -> float:
    """Return the value of a series of the task of these tests."""
    every = {"name": counted.name, "hostname": HOST, "queue_name": QueueName.DEFAULT, **labels}
    return metrics.REGISTRY.get_sample_value(series, every) or 0.0


@pytest.fixture
def change() -> Callable[..., float]:
    """Return what tells by how much a series has grown since the last time, or since now."""
    before: dict[str, float] = {}

    def change(name: str, **labels: str) -> float:
        now = value(name, **labels)
        grown = now - before.get(name, 0.0)
        before[name] = now
        return grown

    for event in (*metrics.COUNTED, "task-failed"):
        change(f"celery_{event.replace('-', '_')}_total")
    change("celery_task_failed_total", exception="PermanentError")
    return change


def test_a_success_is_counted_with_its_times(
    run: Callable[..., Any], change: Callable[..., float]
) -> None:
    waits, runs = "celery_task_queue_wait_time_count", "celery_task_runtime_count"
    change(waits)
    change(runs)
    assert run(counted).state == "SUCCESS"
    for event in ("sent", "received", "started", "succeeded"):
        assert change(f"celery_task_{event}_total") == 1
    assert change(waits) == change(runs) == 1
    assert value("celery_task_runtime_sum") < 60
    assert change("celery_task_retried_total") == 0


def test_a_failure_is_counted_by_its_error(
    run: Callable[..., Any], change: Callable[..., float]
) -> None:
    assert run(counted, "fails").state == "FAILURE"
    assert change("celery_task_failed_total", exception="PermanentError") == 1
    assert change("celery_task_succeeded_total") == 0


def test_a_retry_is_counted_and_what_follows(
    run: Callable[..., Any], change: Callable[..., float]
) -> None:
    assert run(counted, "is tried again").state == "SUCCESS"
    assert change("celery_task_retried_total") == 1
    assert change("celery_task_sent_total") == change("celery_task_started_total") == 2
    assert change("celery_task_succeeded_total") == 1


def test_a_rejected_and_an_expired_task_are_counted(
    run: Callable[..., Any], change: Callable[..., float], idle: Callable[[], None]
) -> None:
    counted.apply_async(("rejects",))
    wait_until(lambda: change("celery_task_rejected_total"))
    counted.apply_async(expires=datetime.now(UTC) - timedelta(seconds=1))
    wait_until(lambda: change("celery_task_revoked_total"))
    idle()


def test_a_queue_that_the_project_does_not_have_adds_one_series_at_most() -> None:
    recorder = metrics.Recorder(HOST, {counted.name}, {"default"})
    for queue in ("one", "two"):
        request = SimpleNamespace(name=counted.name, delivery_info={"routing_key": queue})
        recorder.received(request)
    assert value("celery_task_received_total", queue_name=metrics.OTHER) == 2


def test_the_wait_of_a_task_begins_when_it_is_due() -> None:
    now = datetime.now(UTC)

    def wait(sent: object, due: datetime | None = None) -> float | None:
        headers = {SENT_HEADER: sent}
        return metrics.waited(SimpleNamespace(request_dict=headers, eta=due))

    assert wait((now - timedelta(hours=1)).timestamp()) == pytest.approx(3600, abs=60)
    an_hour_ago = (now - timedelta(hours=1)).timestamp()
    assert wait(an_hour_ago, now - timedelta(seconds=1)) == pytest.approx(1, abs=60)
    assert wait((now + timedelta(hours=1)).timestamp()) == 0  # by another clock
    assert wait("yesterday") is None
    assert wait(None) is None


def test_names_that_senders_choose_add_one_series_at_most() -> None:
    recorder = metrics.Recorder(HOST, {counted.name}, {"default"})
    before = value("celery_task_sent_total", name=metrics.OTHER, queue_name=metrics.OTHER)
    recorder.sent("one", "nowhere")
    recorder.sent("two", "0.1.nowhere")
    after = value("celery_task_sent_total", name=metrics.OTHER, queue_name=metrics.OTHER)
    assert after == before + 2


def test_a_delayed_message_counts_for_its_queue() -> None:
    recorder = metrics.Recorder(HOST, {counted.name}, {"default"})
    before = value("celery_task_sent_total", queue_name="default")
    recorder.sent(counted.name, "0.0.1.0.1.default")
    assert value("celery_task_sent_total", queue_name="default") == before + 1


def test_a_task_that_cannot_be_sent_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("on purpose")

    labels = {"hostname": HOST, "exception": "OperationalError"}
    errors = "celery_task_publish_errors_total"
    before = metrics.REGISTRY.get_sample_value(errors, labels) or 0
    monkeypatch.setattr(Celery, "send_task", fail)
    with pytest.raises(OperationalError):
        counted.delay()
    assert metrics.REGISTRY.get_sample_value(errors, labels) == before + 1


def test_what_is_counted_elsewhere_has_the_name_of_its_process() -> None:
    observer().count("lease_renewals", 3)
    observer().set("beat_lateness_seconds", 0.25)
    labels = {"hostname": HOST}
    assert (metrics.REGISTRY.get_sample_value("celery_lease_renewals_total", labels) or 0) >= 3
    assert metrics.REGISTRY.get_sample_value("celery_beat_lateness_seconds", labels) == 0.25


def test_the_state_of_a_worker_is_that_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [SimpleNamespace(id=number) for number in range(3)]
    monkeypatch.setattr(state, "reserved_requests", requests)
    monkeypatch.setattr(state, "active_requests", requests[:1])
    child = SimpleNamespace(index=7, pid=os.getpid())
    worker = SimpleNamespace(
        app=app,
        concurrency=4,
        pool=SimpleNamespace(_pool=SimpleNamespace(_pool=[child])),
    )
    monkeypatch.setattr(app.amqp.queues, "_consume_from", {"default": None})
    registry = CollectorRegistry()
    registry.register(WorkerState(HOST, worker))

    def told(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"celery_{name}", {"hostname": HOST, **labels})

    assert told("worker_up") == told("worker_tasks_active") == 1
    assert told("worker_tasks_held") == 2
    assert told("active_worker_count", queue_name="default") == 1
    assert told("active_process_count", queue_name="default") == 4
    for process in ("main", "7"):
        assert (told("worker_process_resident_memory_bytes", process=process) or 0) > 1_000_000
        assert (told("worker_process_cpu_seconds_total", process=process) or 0) > 0


def test_a_port_or_a_folder_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"APP_METRICS_PORT is 1, .* 192\.0\.2\.1 "):
        offering.serve(1, "192.0.2.1", metrics.REGISTRY)
    (tmp_path / "file.prom").mkdir()
    with pytest.raises(ConfigurationError, match=r"APP_METRICS_FOLDER is .*file\.prom cannot"):
        offering.write(tmp_path / "file.prom", 60, metrics.REGISTRY)
