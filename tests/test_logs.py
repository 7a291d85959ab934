"""Log lines of running fleets: every line is JSON, each event is one line, all have one context, none has a secret."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any
from urllib.request import Request, urlopen

import pytest

from conftest import Running
from servers import PATIENCE, Fleet, free_port
from test_choices import migrate
from test_servers import OFTEN
from variants import Answers, variant_id

WORD = "hunter2secret"
ADMIN = "fedcba9876543210" * 2

#: Every pool, framework and broker.
VARIANTS: list[Answers] = [
    {"pool": "prefork", "framework": "fastapi"},
    {"pool": "threads", "framework": "flask"},
    {"pool": "gevent"},
    {"pool": "eventlet"},
    {"pool": "solo"},
    {"pool": "prefork", "framework": "django", "broker": "rabbitmq"},
]

#: A module with tasks that log in every way.
TALKING = """
import logging

import structlog
from celery import current_app, shared_task
from celery.utils.log import get_task_logger

bound = structlog.get_logger()


@shared_task(name="talking.speak")
def speak(url):
    print("printed", url)
    bound.info("bound", password=url, task_id="forged")
    get_task_logger(__name__).info("of Celery %s", url)
    logging.getLogger("library").warning("of the library", extra={"message": url, "name": url})


@shared_task(name="talking.fail")
def fail(url):
    raise ValueError(f"no answer from {url}")
"""


def lines(fleet: Fleet, name: str) -> list[dict[str, Any]]:
    """Return the lines of a process, of which every one must be JSON."""
    found = []
    for number, line in enumerate(fleet.log(name).splitlines()):
        if line.startswith("{"):
            found.append(json.loads(line))
        else:
            # Before a worker configures its log, Python warns that it runs as root.
            assert not found, f"{name}:{number}: {line}"
    return found


def submit(port: int, task: str, **arguments: str) -> None:
    """Send a task over HTTP with an id that its lines must have."""
    headers = {
        "Authorization": f"Bearer {ADMIN}",
        "Content-Type": "application/json",
        "X-Request-Id": "request-1",
    }
    body = json.dumps({"task": task, "arguments": arguments}).encode()
    with urlopen(Request(f"http://127.0.0.1:{port}/tasks", body, headers), timeout=PATIENCE) as answer:
        assert answer.status == 202


@pytest.mark.parametrize("answers", VARIANTS, ids=variant_id)
def test_every_line_is_json_and_has_the_context_and_no_secret(answers: Answers, running: Running) -> None:
    web = answers.get("framework", "none") != "none"
    variables = {
        "APP_LOG_FORMAT": "json",
        "APP_ADMIN_TOKEN": ADMIN,
        "APP_API_TOKEN": ADMIN,
        "CELERY_WORKER_INCLUDE": "probe,talking",
        "WEB_PORT": str(free_port()),
    }
    with running(answers, *OFTEN, **variables) as fleet:
        (fleet.cwd / "talking.py").write_text(TALKING, "utf-8")
        path = f"{fleet.cwd}:{fleet.variables['PYTHONPATH']}"
        fleet.variables["DATABASE_URL"] = f"sqlite:///{fleet.cwd}/database.sqlite"
        migrate(fleet)
        fleet.start("general", "beat", *(["web"] if web else []), PYTHONPATH=path)
        url = f"amqp://app:{WORD}@rabbit/"
        context = ("request-7", "acme")
        for task in ("talking.speak", "talking.fail"):
            fleet.ask("bound", *context, "send", task, [url], {}, {})
        fleet.ask("bound", *context, "send", "probe.try_again", [], {}, {})
        fleet.ask("bound", *context, "send", "probe.step", [], {}, {})
        if answers["pool"] == "prefork":
            fleet.ask("bound", *context, "send", "probe.die", [1], {}, {})
        if web:
            submit(int(variables["WEB_PORT"]), "heartbeat.beat")
        expected = {
            ("talking.speak", "succeeded"): 1,
            ("talking.fail", "failed"): 1,
            ("probe.try_again", "retried"): 1,
            ("probe.try_again", "succeeded"): 1,
            ("probe.step", "succeeded"): 1,
        }
        if answers["pool"] == "prefork":
            expected |= {("probe.die", "retried"): 1, ("probe.die", "succeeded"): 1}

        def ended() -> Counter[tuple[str, str]]:
            of_context = [line for line in lines(fleet, "general") if line.get("correlation_id") == context[0]]
            return Counter((line["task"], line["outcome"]) for line in of_context if "outcome" in line)

        fleet.wait(lambda: ended() == expected, f"each end is one line of {expected}, not {ended()}")
        beats = re.compile("Sending due task")
        fleet.wait(lambda: any(beats.search(line["event"]) for line in lines(fleet, "beat")), "beat has sent")
        if web:
            fleet.wait(
                lambda: any(line.get("correlation_id") == "request-1" for line in lines(fleet, "general")),
                "a task has the id of its web request",
            )
        fleet.stop(*fleet.processes)
        for line in lines(fleet, "general"):
            if str(line.get("task", "")).startswith("talking."):
                assert (line["correlation_id"], line["tenant"]) == context
                assert (line["attempt"], line["queue"], line["worker"].partition("@")[0]) == (1, "default", "general")
        said = [
            line for line in lines(fleet, "general") if line.get("task") == "talking.speak" and "outcome" not in line
        ]
        assert [line["event"].split(" amqp")[0] for line in said] == ["printed", "bound", "of Celery", "of the library"]
        assert said[1]["task_id_"] == "forged"
        (failure,) = (line for line in lines(fleet, "general") if line.get("outcome") == "failed")
        assert failure["error"] == "ValueError"
        assert re.findall(r"in (\w+)\n", failure["exception"]) == ["fail"]
        assert "stop" in lines(fleet, "general")[-1]["event"] or "shutdown" in fleet.log("general")
        for name in fleet.processes:
            assert lines(fleet, name)
            assert WORD not in fleet.log(name)
