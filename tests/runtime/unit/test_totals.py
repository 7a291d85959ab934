"""What Celery's events say, added up; and asking for them no longer than somebody listens."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from my_celery_project.runtime import events


def event(kind: str, call: str = "1", /, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "uuid": call, "hostname": "general@a", "local_received": 1.0, **fields}


def of(*given: dict[str, Any]) -> events.Totals:
    totals = events.Totals()
    for each in given:
        totals.add(each)
    return totals


def received(call: str = "1", name: str = "mail.send") -> dict[str, Any]:
    return event("task-received", call, name=name)


def test_calls_are_counted_by_task() -> None:
    totals = of(
        received(),
        event("task-started"),
        event("task-succeeded", runtime=2.0),
        received("2"),
        event("task-started", "2"),
        event("task-failed", "2", exception="ValueError('postgres://a:hunter2@db/')"),
        received("3", "other"),
        event("task-started", "3"),
    )
    assert totals.as_json() == {
        "workers": ["general@a"],
        "tasks": {
            "mail.send": {
                "received": 2,
                "started": 2,
                "succeeded": 1,
                "failed": 1,
                "retried": 0,
                "rejected": 0,
                "revoked": 0,
                "running": 0,
                "success_rate": 0.5,
                "mean_seconds": 2.0,
                "p95_seconds": 2.0,
                "last_error": "ValueError('postgres://***@db/')",
            },
            "other": {
                "received": 1,
                "started": 1,
                "succeeded": 0,
                "failed": 0,
                "retried": 0,
                "rejected": 0,
                "revoked": 0,
                "running": 1,
                "success_rate": None,
                "mean_seconds": None,
                "p95_seconds": None,
                "last_error": "",
            },
        },
    }


def test_a_retry_runs_again() -> None:
    totals = of(
        *(received(), event("task-started"), event("task-retried", exception="Busy()")),
        *(received(), event("task-started")),
    )
    total = totals.tasks["mail.send"]
    assert (total.running, total.counts["started"], total.counts["retried"]) == (1, 2, 1)
    assert total.error == "Busy()"


def test_the_percentile_is_that_of_the_last_run_times() -> None:
    calls = [(str(n), n + 1.0) for n in range(100)]
    totals = of(
        *(
            each
            for call, runtime in calls
            for each in (received(call), event("task-succeeded", call, runtime=runtime))
        )
    )
    total = totals.tasks["mail.send"]
    assert total.mean == pytest.approx(50.5)
    assert total.p95 == pytest.approx(95.05)


def test_a_call_that_was_received_before_has_no_name() -> None:
    totals = of(event("task-succeeded", runtime=1.0))
    assert totals.tasks[events.EARLIER].counts["succeeded"] == 1
    assert totals.tasks[events.EARLIER].running == 0


def test_calls_whose_end_is_never_told_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST", 2)
    totals = of(
        *(each for n in range(5) for each in (received(str(n)), event("task-started", str(n))))
    )
    assert len(totals.open) == 2
    assert totals.tasks["mail.send"].running == 2


def test_a_worker_that_has_gone_is_none() -> None:
    totals = of(event("worker-heartbeat"), event("worker-online", hostname="io@b"))
    assert sorted(totals.workers) == ["general@a", "io@b"]
    totals.add(event("worker-offline"))
    assert sorted(totals.workers) == ["io@b"]


class Control:
    """Workers of which one sent events before."""

    def __init__(self) -> None:
        self.sends = {"io@b"}
        self.workers = {"general@a", "io@b"}

    def broadcast(
        self,
        command: str,
        reply: bool = False,
        timeout: float = 0,
        destination: list[str] | None = None,
    ) -> list[dict[str, dict[str, str]]] | None:
        if command == "disable_events":
            self.sends -= set(destination or self.workers)
            return None
        answers = [
            {
                worker: {
                    "ok": "task events already enabled"
                    if worker in self.sends
                    else "task events enabled"
                }
            }
            for worker in self.workers
        ]
        self.sends |= self.workers
        return answers


def test_only_those_stop_sending_events_that_have_begun_for_us() -> None:
    control = Control()
    app: Any = SimpleNamespace(control=control)
    switch = events.Switch(app)
    switch.on()
    control.workers.add("cpu@c")
    switch.on()
    assert control.sends == {"general@a", "io@b", "cpu@c"}
    switch.off()
    assert control.sends == {"io@b"}
    switch.off()
    assert control.sends == {"io@b"}
