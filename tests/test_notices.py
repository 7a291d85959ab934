"""What running fleets tell people: the numbers add up, nothing is lost, and the end of a problem is told as well."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import pytest

from conftest import Running
from servers import PATIENCE, Fleet, Inbox, free_port
from sinks import Sink, sink
from test_choices import migrate
from variants import FULL, Answers, variant_id

#: Shorter times of the notifier, so that a test need not wait for minutes.
SOON = tuple(
    (f"src/*/runtime/notices/{module}.py", old, new)
    for module, old, new in (
        ("notifier", "TURN = 5", "TURN = 0.5"),
        ("notifier", "LEASE = 30", "LEASE = 5"),
        ("notifier", "LOOK = 30", "LOOK = 2"),
        ("notifier", "LASTING = 60", "LASTING = 4"),
        ("notifier", "GATHER = 10", "GATHER = 2"),
        ("notifier", "CALM = 60", "CALM = 4"),
        ("problems", "SILENT = 120", "SILENT = 15"),
    )
)

#: How many tasks fail in a burst.
BURST = 500

#: For how many seconds nobody can be told.
AWAY = 120 if FULL else 10


def texts(server: Sink) -> list[str]:
    """Return the notices that a webhook has got."""
    return [json.loads(body)["text"] for body in list(server.bodies)]


def failures(notices: list[str]) -> int:
    """Return how many failures all notices tell."""
    return sum(int(number) for text in notices for number in re.findall(r"(?m)^- (\d+) x ", text))


def hook(server: Sink) -> dict[str, str]:
    """Return the variables of a fleet that tells a sink."""
    return {"APP_NOTIFY_WEBHOOK_URL": f"http://{server.address}/hook"}


def test_a_burst_of_failures_is_at_most_three_notices(running: Running) -> None:
    with sink() as server, running({}, **hook(server)) as fleet:
        fleet.start_general("one", "two")
        fleet.ask("send_many", BURST, "probe.fail", [], {}, {})
        fleet.wait(lambda: failures(texts(server)) >= BURST, "all failures are told", 3 * PATIENCE)
        fleet.stop("one", "two")
        told = texts(server)
        assert failures(told) == BURST
        assert len(told) <= 3
        assert f"{fleet.project.package}] " in told[0]
        assert "x probe.fail (failed): ValueError: on purpose" in told[0]


#: With a Redis and without one, which has places of their own.
PLACES: list[Answers] = [
    {},
    {"pool": "threads"},
    {"broker": "rabbitmq", "result_backend": "rpc"},
    {"broker": "rabbitmq", "result_backend": "none", "pool": "gevent", "framework": "django"},
]


@pytest.mark.parametrize("answers", PLACES, ids=variant_id)
def test_what_could_not_be_told_is_told_later_and_by_mail_too(answers: Answers, running: Running, inbox: Inbox) -> None:
    port = free_port()
    variables = {
        "APP_NOTIFY_MAIL_TO": "ops@example.com",
        "APP_NOTIFY_MAIL_FROM": "celery@example.com",
        "APP_NOTIFY_SMTP_URL": f"smtp://127.0.0.1:{inbox.port}",
        "APP_NOTIFY_WEBHOOK_URL": f"http://127.0.0.1:{port}/hook",
    }
    with running(answers, *SOON, **variables) as fleet:
        fleet.variables["DATABASE_URL"] = f"sqlite:///{fleet.cwd}/database.sqlite"
        migrate(fleet)
        fleet.start("general")
        fleet.ask("send_many", 7, "probe.fail", [], {}, {})
        fleet.wait(lambda: inbox.to("ops@example.com"), "the mail arrives")
        time.sleep(AWAY)
        assert "A notice could not be sent by webhook" in fleet.log("general")
        with sink(port) as server:
            fleet.wait(lambda: failures(texts(server)) == 7, "the webhook is told")
            fleet.ask("send_many", 5, "probe.fail", [], {}, {})
            fleet.wait(lambda: failures(texts(server)) == 12, "it is told of what has failed since")
            # What is left when a worker stops is told then, or by the next that leads.
            fleet.ends(fleet.send("probe.fail"))
            fleet.stop("general")
            if answers.get("broker") != "rabbitmq":
                fleet.start("general")
            fleet.wait(lambda: failures(texts(server)) == 13, "the last one is told")
    mails = inbox.to("ops@example.com")
    assert mails[0]["Subject"] == f"[{fleet.project.package}] 7 failures of probe.fail"
    assert mails[0]["From"] == "celery@example.com"
    assert failures([str(mail.get_payload()) for mail in mails]) == 13


def test_workers_tell_that_beat_is_silent_and_beat_that_no_worker_answers(running: Running) -> None:
    with sink() as server, running({}, *SOON, **hook(server), APP_NOTIFY_INTERVAL="5") as fleet:
        fleet.start("general", "io", "cpu", "beat")
        beat = fleet.processes["beat"].pid
        os.killpg(beat, signal.SIGSTOP)
        told(fleet, server, "Beat has not looked at its schedule")
        os.killpg(beat, signal.SIGCONT)
        told(fleet, server, "Over: Beat has not looked at its schedule")
        fleet.stop("io")
        told(fleet, server, "No worker answers for the queue io.")
        fleet.stop("general", "cpu")
        told(fleet, server, "No worker answers for the queue default.")
        fleet.start("general", "io", "cpu")
        told(fleet, server, "Over: No worker answers for the queue default.")
        fleet.stop(*fleet.processes)


def told(fleet: Fleet, server: Sink, sentence: str) -> None:
    """Wait until a notice has a line that begins with a sentence."""
    beginning = re.compile(f"(?m)^{re.escape(sentence)}")
    fleet.wait(
        lambda: any(beginning.search(text) for text in texts(server)),
        f"{sentence} is told: {texts(server)}",
        PATIENCE * 2,
    )


def test_nobody_is_told_by_default(running: Running) -> None:
    with running({}, *SOON) as fleet:
        fleet.start("general")
        fleet.ends(fleet.send("probe.fail"))
        fleet.stop("general")
        assert "notice" not in fleet.log("general").lower()
