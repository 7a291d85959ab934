"""What a worker counts, in memory: every way in which a task can end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Reject
from celery.signals import task_received
from celery.worker import state

from my_celery_project.celery import app
from my_celery_project.queues import QueueName
from my_celery_project.runtime.config.environment import ConfigurationError
from my_celery_project.runtime.context import SENT_HEADER
from my_celery_project.runtime.errors import (
    PermanentError,
    TransientError,
)
from my_celery_project.runtime.observe import metrics
from my_celery_project.runtime.observe import (
    worker as steps,
)
from my_celery_project.runtime.observer import Observer
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
    recorder = metrics.Recorder(HOST, {*app.amqp.queues})
    app.observer = recorder
    task_received.connect(recorder.received)
    yield
    task_received.disconnect(recorder.received)
    app.observer = Observer()


def value(name: str, **labels: str) -> float:
    """Return the value of a series of the task of these tests."""
    every = {"name": counted.name, "hostname": HOST, "queue_name": QueueName.DEFAULT, **labels}
    return metrics.REGISTRY.get_sample_value(name, every) or 0.0


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
    for event in ("received", "started", "succeeded"):
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
    assert change("celery_task_started_total") == 2
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
    recorder = metrics.Recorder(HOST, {"default"})
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


def test_the_state_of_a_worker_is_that_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [SimpleNamespace(id=number) for number in range(3)]
    monkeypatch.setattr(state, "reserved_requests", requests)
    monkeypatch.setattr(state, "active_requests", requests[:1])
    told = {family.name: family.samples[0] for family in metrics.WorkerState(HOST).collect()}
    assert {name: sample.value for name, sample in told.items()} == {
        "celery_worker_up": 1,
        "celery_worker_tasks_active": 1,
        "celery_worker_tasks_held": 2,
    }
    assert told["celery_worker_up"].labels == {"hostname": HOST}


def test_a_port_or_a_folder_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"APP_METRICS_PORT is 1, .* 192\.0\.2\.1 "):
        steps.serve(1, "192.0.2.1")
    (tmp_path / "file.prom").mkdir()
    with pytest.raises(ConfigurationError, match=r"APP_METRICS_FOLDER is .*file\.prom cannot"):
        steps.write(tmp_path / "file.prom", 60)
