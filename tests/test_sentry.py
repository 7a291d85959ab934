"""Events in Sentry's form from running fleets: one for each failure that was not expected, and none has a secret."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from conftest import Installed, Running
from servers import PATIENCE, Fleet, free_port
from sinks import Sink, envelopes, sink
from test_choices import migrate
from test_logs import ADMIN, lines, submit
from test_settings import refusal
from test_traces import output
from variants import Answers, variant_id

WORD = "hunter2secret"

#: Every framework and kind of beat, and pools of every kind.
VARIANTS: list[Answers] = [
    {"sentry": True, "framework": "fastapi"},
    {"sentry": True, "framework": "flask", "pool": "threads", "beat": "redbeat"},
    {"sentry": True, "framework": "django", "broker": "rabbitmq", "pool": "gevent", "beat": "database"},
]

#: A module with tasks that fail in every way.
FAILING = """
import os
import time
from importlib import import_module

from celery import current_app, shared_task
from celery.utils.log import get_task_logger

RUNTIME = f"{current_app.main}.runtime"
errors = import_module(f"{RUNTIME}.errors")
base = import_module(f"{RUNTIME}.tasks.base")


@shared_task(name="failing.unexpected")
def unexpected(url):
    secret = url
    raise ValueError(f"no answer from {secret}")


@shared_task(name="failing.permanent")
def permanent(url):
    raise errors.PermanentError(f"{url} is gone")


@shared_task(name="failing.transient", max_retries=2, retry_backoff=False, default_retry_delay=0)
def transient(url):
    raise ConnectionError(f"{url} is down")


@shared_task(name="failing.said")
def said(url):
    get_task_logger(__name__).error("cannot reach %s", url)


@shared_task(name="failing.killed", base=base.AtMostOnceTask)
def killed(url):
    os.kill(os.getpid(), 9)


@shared_task(name="failing.slow", time_limit=1, soft_time_limit=None)
def slow(url):
    time.sleep(60)
"""


def events(server: Sink) -> list[dict[str, Any]]:
    """Return the events that have arrived."""
    return [content for kind, content in envelopes(server) if kind == "event"]


def variables_of(server: Sink) -> dict[str, str]:
    """Return the variables of a fleet that sends its events to a sink."""
    return {
        "APP_LOG_FORMAT": "json",
        "APP_ADMIN_TOKEN": ADMIN,
        "APP_API_TOKEN": ADMIN,
        "CELERY_WORKER_INCLUDE": "probe,failing",
        "CELERY_WORKER_MAX_TASKS_PER_CHILD": "1",
        "SENTRY_DSN": f"http://{WORD}@{server.address}/1",
        "WEB_PORT": str(free_port()),
    }


def start(fleet: Fleet, *names: str) -> None:
    """Start processes that have the failing tasks, on a database of their own."""
    (fleet.cwd / "failing.py").write_text(FAILING, "utf-8")
    fleet.variables["PYTHONPATH"] = f"{fleet.cwd}:{fleet.variables['PYTHONPATH']}"
    fleet.variables["DATABASE_URL"] = f"sqlite:///{fleet.cwd}/database.sqlite"
    migrate(fleet)
    fleet.start(*names)


@pytest.mark.parametrize("answers", VARIANTS, ids=variant_id)
def test_each_failure_that_was_not_expected_is_one_event(answers: Answers, running: Running) -> None:
    tasks = ["unexpected", "permanent", "transient", "said"]
    tasks += ["killed", "slow"] if answers.get("pool", "prefork") == "prefork" else []
    with sink() as server, running(answers, **variables_of(server)) as fleet:
        start(fleet, "general", "beat")
        url = f"amqp://app:{WORD}@rabbit/"
        for name in tasks:
            fleet.ask("bound", "request-7", "acme", "send", f"failing.{name}", [url], {}, {})
        expected = Counter({name: 1 for name in tasks if name != "permanent"})

        def found() -> Counter[str]:
            return Counter(
                event.get("transaction", "").partition("failing.")[2]
                for event in events(server)
                if event["tags"].get("correlation_id") == "request-7"
            )

        fleet.wait(lambda: len(ended(fleet)) >= len(tasks), "all tasks have ended")
        fleet.wait(lambda: found() >= expected, f"the events of {expected} arrive, not {found()}")
        checked_in(fleet, server)
        fleet.stop(*fleet.processes)
        assert found() == expected
        for event in events(server):
            assert event["environment"] == "development"
            assert event["release"].startswith(f"{fleet.project.package}@") or event["release"]
            if event["tags"].get("correlation_id") == "request-7":
                tags = {"tenant": "acme", "queue": "default"}
                assert tags.items() <= event["tags"].items()
                assert event["tags"]["worker"].startswith("general@")
        (unexpected,) = (event for event in events(server) if event.get("transaction") == "failing.unexpected")
        (value,) = unexpected["exception"]["values"]
        assert (value["type"], value["value"]) == ("ValueError", "no answer from amqp://***@rabbit/")
        assert value["stacktrace"]["frames"][-1]["function"] == "unexpected"
        assert WORD.encode() not in b"".join(body.partition(b"\n")[2] for body in server.bodies)
        for name in fleet.processes:
            assert lines(fleet, name)


def ended(fleet: Fleet) -> list[dict[str, Any]]:
    """Return the lines of tasks that have ended for good."""
    of_context = [line for line in lines(fleet, "general") if line.get("correlation_id") == "request-7"]
    return [line for line in of_context if line.get("outcome") in ("succeeded", "failed")]


def checked_in(fleet: Fleet, server: Sink) -> None:
    """Wait until beat has told that it has sent the heartbeat, and the worker that it has run."""

    def statuses() -> list[str]:
        check_ins = [content for kind, content in envelopes(server) if kind == "check_in"]
        return [each["status"] for each in check_ins if each["monitor_slug"] == "heartbeat"]

    fleet.wait(lambda: {"in_progress", "ok"} <= set(statuses()), "the heartbeat is checked in", 2 * PATIENCE)


#: Each request that sends a task ends with an error.
BROKEN = (
    (
        "src/*/runtime/web/service.py",
        "        arguments = self.catalogue.checked(submission.task, submission.arguments)\n",
        '        arguments = {}\n        raise ValueError("on purpose")\n',
    ),
)


@pytest.mark.parametrize("framework", ["fastapi", "flask", "django"])
def test_an_unexpected_error_of_a_request_is_an_event_without_its_body(framework: str, running: Running) -> None:
    answers: Answers = {"sentry": True, "framework": framework}
    with sink() as server, running(answers, *BROKEN, **variables_of(server)) as fleet:
        start(fleet, "web")
        with pytest.raises(HTTPError) as refused:
            submit(int(fleet.variables["WEB_PORT"]), "heartbeat.beat", note=WORD)
        assert refused.value.code == 500
        fleet.wait(lambda: events(server), "the event arrives")
        fleet.stop("web")
        (event,) = events(server)
    assert [value["value"] for value in event["exception"]["values"]] == ["on purpose"]
    assert "/tasks" in event["request"]["url"]
    assert WORD not in json.dumps(event)


def test_the_command_of_the_page_sends_an_event(installed: Installed, tmp_path: Path) -> None:
    project = installed({"sentry": True})
    page = (project.folder / "docs" / "sentry.md").read_text("utf-8")
    (command,) = (line for line in page.splitlines() if line.startswith(".venv/bin/python"))
    with sink() as server:
        line = command.replace(".venv/bin/", f"{project.environment}/bin/")
        variables = {**project.variables(tmp_path), "SENTRY_DSN": f"http://key@{server.address}/1"}
        done = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, env=variables, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        (event,) = events(server)
    assert event["message"] == "It works"


LOADED = """
import sys
import {package}.celery

print(*(name for name in sys.modules if name.partition(".")[0] == "sentry_sdk"))
"""


def test_nothing_is_imported_without_an_address(installed: Installed, tmp_path: Path) -> None:
    project = installed({"sentry": True})
    assert not output(project, tmp_path, LOADED).strip()
    assert output(project, tmp_path, LOADED, SENTRY_DSN="http://key@127.0.0.1:9/1").strip()


def test_an_address_that_is_none_ends_a_worker(installed: Installed, tmp_path: Path) -> None:
    sentence = refusal(installed({"sentry": True}), "general", tmp_path, SENTRY_DSN="s3cr3t@sentry.io")
    assert "SENTRY_DSN is wrong: use a URL such as https://key@o1.ingest.sentry.io/1" in sentence
