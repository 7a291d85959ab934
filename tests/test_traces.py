"""Traces of running fleets: one over a web request, its task, the retry and the subtask, and no span is lost."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from conftest import Installed, Running
from servers import PATIENCE, Fleet, Project, free_port
from sinks import Span, sink, spans
from test_choices import migrate
from test_logs import ADMIN, lines, submit
from test_settings import refusal
from variants import Answers, variant_id

SERVER, PRODUCER, CONSUMER = 2, 4, 5

#: Every framework, and pools of every kind.
VARIANTS: list[Answers] = [
    {"opentelemetry": True, "framework": "fastapi"},
    {"opentelemetry": True, "framework": "flask", "pool": "threads"},
    {"opentelemetry": True, "framework": "django", "broker": "rabbitmq", "pool": "gevent"},
]

#: The heartbeat sends another task and is then retried.
BUSY = (
    (
        "src/*/tasks/heartbeat.py",
        "    worker = str(",
        """    if not self.request.retries:
        app.send_task("probe.step")
        raise self.retry(exc=ValueError("no token=hunter2secret"), countdown=0)
    worker = str(""",
    ),
)

#: How many tasks run just before their worker stops.
LAST = 30


def named(found: list[Span], name: str) -> list[Span]:
    """Return the spans of a name."""
    return [span for span in found if span.name == name]


def variables_of(address: str) -> dict[str, str]:
    """Return the variables of a fleet that sends its traces to an address."""
    return {
        "APP_LOG_FORMAT": "json",
        "APP_ADMIN_TOKEN": ADMIN,
        "APP_API_TOKEN": ADMIN,
        "CELERY_WORKER_MAX_TASKS_PER_CHILD": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
        "WEB_PORT": str(free_port()),
    }


def start(fleet: Fleet, *names: str) -> None:
    """Start processes on a database of their own."""
    fleet.variables["DATABASE_URL"] = f"sqlite:///{fleet.cwd}/database.sqlite"
    migrate(fleet)
    fleet.start(*names)


@pytest.mark.parametrize("answers", VARIANTS, ids=variant_id)
def test_one_trace_leads_from_a_request_to_its_subtask_and_its_retry(answers: Answers, running: Running) -> None:
    with sink() as server, running(answers, *BUSY, **variables_of(server.address)) as fleet:
        start(fleet, "general", "web")
        submit(int(fleet.variables["WEB_PORT"]), "heartbeat.beat")
        fleet.wait(lambda: fleet.seen(event="end", task="heartbeat.beat", state="SUCCESS"), "the retry has ended")
        fleet.wait(lambda: fleet.seen(event="end", task="probe.step"), "the subtask has ended")
        for number in range(LAST):
            fleet.send("probe.step", number)
        fleet.wait(lambda: len(fleet.seen(event="end", task="probe.step")) == LAST + 1, "all tasks have ended")
        fleet.stop(*fleet.processes)
        check(answers, spans(server), fleet)


def check(answers: Answers, found: list[Span], fleet: Fleet) -> None:
    """Check all that a fleet has sent."""
    (request,) = (span for span in found if span.kind == SERVER)
    assert "tasks" in request.name
    assert not request.parent
    first, retry = sorted(named(found, "process heartbeat.beat"), key=lambda span: span.attributes["celery.retries"])
    by_id = {span.id: span for span in found}
    # Each run is the child of the sending of its message, which is that of what has sent it.
    sent = [by_id[run.parent] for run in (first, retry)]
    assert [(span.name, span.kind, span.parent) for span in sent] == [
        ("send heartbeat.beat", PRODUCER, request.id),
        ("send heartbeat.beat", PRODUCER, first.id),
    ]
    (subtask,) = (span for span in named(found, "process probe.step") if span.trace == request.trace)
    assert by_id[subtask.parent].parent == first.id
    assert {span.trace for span in (first, retry, *sent, subtask)} == {request.trace}
    assert (first.kind, first.attributes["celery.state"], first.failed) == (CONSUMER, "RETRY", False)
    assert (retry.attributes["celery.state"], retry.errors) == ("SUCCESS", [])
    assert first.attributes | {"celery.retries": 0} == first.attributes
    for span, operation in ((first, "process"), (sent[0], "send")):
        wanted = {
            "messaging.system": str(answers.get("broker", "redis")),
            "messaging.operation.type": operation,
            "messaging.destination.name": "default",
            "messaging.message.conversation_id": "request-1",
            "celery.task_name": "heartbeat.beat",
        }
        assert wanted.items() <= span.attributes.items()
    assert first.attributes["messaging.message.id"] == sent[0].attributes["messaging.message.id"]
    (error,) = first.errors
    assert error["exception.type"] == "Retry"
    assert "hunter2secret" not in str(found)
    # Nothing was lost when a process of the pool, or the worker, has ended.
    assert len(named(found, "process probe.step")) == len(named(found, "send probe.step")) == LAST + 1
    of_trace: list[dict[str, Any]] = [line for line in lines(fleet, "general") if line.get("trace_id") == request.trace]
    assert {"succeeded", "retried"} <= {line.get("outcome") for line in of_trace}
    assert any(line.get("span_id") == retry.id and "heartbeat from" in line["event"] for line in of_trace)


def test_a_failure_is_marked(running: Running) -> None:
    with sink() as server, running({"opentelemetry": True}, **variables_of(server.address)) as fleet:
        fleet.start("general")
        fleet.ends(fleet.send("probe.fail"))
        fleet.stop("general")
        (run,) = named(spans(server), "process probe.fail")
        assert (run.failed, run.attributes["error.type"]) == (True, "ValueError")
        assert "on purpose" in run.errors[0]["exception.stacktrace"]


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_collector_that_is_down_delays_no_task_and_spoils_no_line(pool: str, running: Running) -> None:
    answers: Answers = {"opentelemetry": True, "pool": pool}
    with running(answers, **variables_of(f"127.0.0.1:{free_port()}")) as fleet:
        fleet.start("general")
        fleet.ends(*(fleet.send("probe.step", number) for number in range(5)))
        fleet.stop("general", timeout=PATIENCE)
        assert lines(fleet, "general")


#: Sends a task that this process does not know to a broker that is down, twice.
UNSENT = """
from {package}.celery import app
from opentelemetry import trace

for _ in range(2):
    try:
        app.send_task("far.away", retry=False, ignore_result=True)
    except Exception:
        print(trace.get_current_span().get_span_context().is_valid)
"""

#: Redis' library imports another part of OpenTelemetry if it is there.
LOADED = """
import sys
import {package}.celery

print(*(name for name in sys.modules if name.startswith(("opentelemetry.exporter", "opentelemetry.sdk.trace"))))
"""


def output(project: Project, folder: Path, code: str, **variables: str) -> str:
    """Return what a process of a project prints."""
    command = [str(project.environment / "bin" / "python"), "-c", code.format(package=project.package)]
    environment = {**project.variables(folder), **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_message_that_cannot_be_sent_leaves_no_open_span(installed: Installed, tmp_path: Path) -> None:
    project = installed({"opentelemetry": True})
    down = f"redis://:hunter2secret@127.0.0.1:{free_port()}/0"
    with sink() as server:
        variables = {**variables_of(server.address), "CELERY_BROKER_URL": down, "CELERY_RESULT_BACKEND": down}
        assert output(project, tmp_path, UNSENT, **variables).split() == ["False", "False"]
        found = named(spans(server), "send far.away")
    assert len({span.trace for span in found}) == len(found) == 2
    assert all(span.failed and span.errors for span in found)
    assert "hunter2secret" not in str(found)


def test_nothing_is_imported_without_a_collector(installed: Installed, tmp_path: Path) -> None:
    project = installed({"opentelemetry": True})
    assert not output(project, tmp_path, LOADED).strip()
    assert output(project, tmp_path, LOADED, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9").strip()


def test_an_address_without_a_scheme_ends_a_worker(installed: Installed, tmp_path: Path) -> None:
    project = installed({"opentelemetry": True})
    sentence = refusal(project, "general", tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="collector:4318")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is wrong" in sentence
    assert "http://127.0.0.1:4318" in sentence
