"""Generated projects work on real servers: the fleet of the Procfile, its leases, a first look."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from conftest import Bakery
from filelock import FileLock
from pytest_httpserver import HTTPServer
from servers import (
    STOP_TIME,
    Canary,
    Fleet,
    Inbox,
    Project,
    entries,
    free_port,
    kill_group,
    needed,
    processes,
    redis_server,
    wait_until,
    without_shell,
)
from support import UV, python_of, run
from variants import Answers, Choice, options, variant_id
from werkzeug import Request, Response

POOLS = options()["pool"]
#: Pools whose workers renew their leases while a task runs.
RENEWING = [pool for pool in POOLS if pool != "solo"]

#: Seconds: a visibility timeout for tests, and tasks that are much longer.
TIMEOUT = 5
LONG = 4 * TIMEOUT
SHORT_LEASE = {"CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": str(TIMEOUT)}

ROWS = 600_000
REGIONS = ("north", "south", "west")

#: Arguments for every example task; those with an address or a URL get it in the test.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "heartbeat.beat": {},
    "maintenance.check_disk": {},
    "maintenance.purge_artifacts": {"older_than_days": 30},
    "notifications.send_bulk": {
        "recipients": ["b1@example.com", "b2@example.com", "b1@example.com"],
        "subject": "News",
        "text": "...",
    },
    "notifications.send_mail": {"to": "mail@example.com", "subject": "Grüße", "text": "Hello\n"},
    "notifications.send_password_reset": {"to": "reset@example.com", "link": "https://example.com/r/1"},
    "notifications.send_verification": {"to": "new@example.com", "link": "https://example.com/v/1"},
    "reports.totals": {"source": "sales.csv", "group_by": "region", "amount": "amount"},
    "webhooks.deliver": {"event": "paid", "payload": {"id": 7}},
}

for_every_pool = pytest.mark.parametrize("pool", POOLS)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all processes of this test run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def installed(bakery: Bakery, shared: Path) -> Callable[[Choice], Project]:
    """Return a function that gives the project for a pool, installed with no more than it declares."""

    def install(pool: Choice) -> Project:
        environment = shared / f"installed-{pool}"
        with FileLock(f"{environment}.lock"):
            if not environment.exists():
                folder = bakery.bake({"pool": pool}, shared / f"project-{pool}")
                python = python_of(environment)
                run([*UV, "venv", "--quiet", "--python", sys.executable, str(environment)], folder)
                run([*UV, "pip", "install", "--quiet", "--python", python, "--editable", "."], folder)
        (folder,) = (shared / f"project-{pool}").iterdir()
        return Project(folder, environment)

    return install


@contextmanager
def running(project: Project, cwd: Path, **variables: str) -> Iterator[Fleet]:
    """Yield a fleet without processes, on a Redis of its own; end everything afterwards."""
    with redis_server(cwd) as url:
        fleet = Fleet(project, cwd, url, **variables)
        try:
            yield fleet
        finally:
            fleet.close()


# The fleet of the Procfile


@pytest.fixture(scope="module")
def inbox() -> Iterator[tuple[Inbox, int]]:
    """Yield an inbox and the port of its SMTP server."""
    inbox, port = Inbox(), free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield inbox, port
    controller.stop()


@pytest.fixture(
    scope="module", params=[pytest.param(pool, marks=pytest.mark.xdist_group(f"fleet-{pool}")) for pool in POOLS]
)
def fleet(
    request: pytest.FixtureRequest,
    installed: Callable[[Choice], Project],
    inbox: tuple[Inbox, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fleet]:
    """Yield everything that the Procfile starts; the tests with it share one fleet for each pool."""
    cwd = tmp_path_factory.mktemp("fleet")
    inbox[0].mails.clear()
    variables = {
        "APP_ARTIFACTS_URL": (cwd / "artifacts").as_uri(),
        "APP_MIN_FREE_DISK_PERCENT": "0.001",
        "APP_SMTP_HOST": "127.0.0.1",
        "APP_SMTP_PORT": str(inbox[1]),
        "APP_SMTP_STARTTLS": "false",
    }
    project = installed(request.param)
    with running(project, cwd, **variables) as fleet:
        fleet.start("beat")  # first, since its first task is due after a minute
        fleet.start(*project.workers)
        yield fleet


def destinations(project: Project) -> dict[str, str]:
    """Return task and queue of each row of the table in the project's own tests."""
    tree = ast.parse((project.folder / "tests" / "unit" / "test_queues.py").read_text("utf-8"))
    (table,) = (node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict))
    rows = ((ast.unparse(name), ast.unparse(row)) for name, row in zip(table.keys, table.values, strict=True) if name)
    return {ast.literal_eval(name): re.findall(r"QueueName\.(\w+)", row)[0].lower() for name, row in rows}


def write_sales(fleet: Fleet) -> str:
    """Write the rows of the report and return what it must say."""
    folder = fleet.cwd / "artifacts"
    folder.mkdir(exist_ok=True)
    rows = "".join(f"{REGIONS[n % 3]},1.25\n" for n in range(ROWS))
    (folder / "sales.csv").write_text(f"region,amount\n{rows}", "utf-8")
    return "".join(f"{line}\r\n" for line in ("region,amount", *(f"{name},{ROWS / 3 * 1.25:.2f}" for name in REGIONS)))


def test_every_task_runs_once_on_the_queue_and_the_worker_of_the_table(
    fleet: Fleet, inbox: tuple[Inbox, int], httpserver: HTTPServer
) -> None:
    table, workers = destinations(fleet.project), fleet.project.workers
    assert sorted(table) == sorted(fleet.ask("names"))
    httpserver.expect_request("/ok").respond_with_data(status=204)
    write_sales(fleet)
    ids = {}
    for name in table:
        url = {"url": httpserver.url_for("/ok")} if name == "webhooks.deliver" else {}
        ids[name] = fleet.send(name, **ARGUMENTS[name], **url)
    fleet.ends(*ids.values())
    for name, queue in table.items():
        start, end = fleet.seen(id=ids[name])
        assert (start["event"], end["event"], end["state"]) == ("start", "end", "SUCCESS"), name
        assert start["queue"] == queue, name
        assert queue in workers[start["worker"]], name
    for address in ("b1", "b2", "mail", "new", "reset"):
        to = f"{address}@example.com"
        fleet.wait(lambda to=to: inbox[0].to(to), f"mail to {to} arrives")
        assert len(inbox[0].to(to)) == 1
    assert str(inbox[0].to("mail@example.com")[0]["Message-ID"]).startswith(f"<{ids['notifications.send_mail']}@")


def test_the_progress_of_a_report_is_seen_while_it_runs(fleet: Fleet) -> None:
    expected = write_sales(fleet)
    task_id = fleet.send("reports.totals", **ARGUMENTS["reports.totals"])
    seen: list[float] = []

    def ended() -> bool:
        state, info = fleet.ask("look", task_id)
        if state == "PROGRESS" and info["percent"] not in seen:
            seen.append(info["percent"])
            assert info["total"] == ROWS
        return state not in {"PENDING", "STARTED", "PROGRESS"}

    fleet.wait(ended, "the report ends")
    assert seen == sorted(seen)
    assert len([percent for percent in seen if 0 < percent < 100]) >= 2, seen
    assert fleet.ask("look", task_id) == ["SUCCESS", f"reports/{task_id}.csv"]
    assert (fleet.cwd / "artifacts" / "reports" / f"{task_id}.csv").read_bytes().decode() == expected


class Receiver:
    """Answer requests in turn, and keep when and with which key they came."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.times: list[float] = []
        self.keys: list[str] = []

    def __call__(self, request: Request) -> Response:
        """Answer."""
        self.times.append(time.monotonic())
        self.keys.append(request.headers["Idempotency-Key"])
        return self.answers.pop(0)

    @property
    def waits(self) -> list[float]:
        """Return the seconds between the requests."""
        return [after - before for before, after in zip(self.times, self.times[1:], strict=False)]


def deliver(fleet: Fleet, server: HTTPServer, receiver: Receiver, **kwargs: str) -> tuple[str, str, list[float]]:
    """Send a webhook to a receiver; return id and state of the task and the waits that Celery chose."""
    server.expect_request("/hook").respond_with_handler(receiver)
    arguments = {**ARGUMENTS["webhooks.deliver"], **kwargs, "url": server.url_for("/hook")}
    task_id = fleet.send("webhooks.deliver", **arguments)
    fleet.ends(task_id)
    countdowns = [entry["countdown"] for entry in fleet.seen(event="retry", id=task_id)]
    assert len(fleet.seen(event="start", id=task_id)) == len(receiver.times) == len(countdowns) + 1
    return task_id, fleet.seen(event="end", id=task_id)[-1]["state"], countdowns


@pytest.mark.parametrize("key", ["", "order-7"])
def test_a_webhook_carries_the_given_key_or_the_id_of_its_task(key: str, fleet: Fleet, httpserver: HTTPServer) -> None:
    receiver = Receiver(Response(status=202))
    task_id, state, _ = deliver(fleet, httpserver, receiver, **({"idempotency_key": key} if key else {}))
    assert (state, receiver.keys) == ("SUCCESS", [key or task_id])


def test_a_server_error_is_tried_again_with_the_same_key_and_full_jitter(fleet: Fleet, httpserver: HTTPServer) -> None:
    receiver = Receiver(Response(status=500), Response(status=502), Response(status=200))
    task_id, state, (first, second) = deliver(fleet, httpserver, receiver)
    assert (state, receiver.keys) == ("SUCCESS", [task_id] * 3)
    assert 0 <= first <= 2
    assert 0 <= second <= 4
    for countdown, wait in zip((first, second), receiver.waits, strict=True):
        assert countdown - 0.1 <= wait <= countdown + 10


def test_a_retry_waits_as_long_as_the_server_asks(fleet: Fleet, httpserver: HTTPServer) -> None:
    receiver = Receiver(Response(status=429, headers={"Retry-After": "2"}), Response(status=200))
    _, state, (countdown,) = deliver(fleet, httpserver, receiver)
    assert (state, countdown) == ("SUCCESS", 2)
    assert 2 <= receiver.waits[0] <= 12


def test_a_client_error_is_final(fleet: Fleet, httpserver: HTTPServer) -> None:
    _, state, countdowns = deliver(fleet, httpserver, Receiver(Response(status=404)))
    assert (state, countdowns) == ("FAILURE", [])


def test_beat_sends_the_heartbeat(fleet: Fleet) -> None:
    sent = "Scheduler: Sending due task heartbeat (heartbeat.beat)"
    fleet.wait(lambda: sent in fleet.log("beat"), "beat sends the heartbeat")
    fleet.wait(lambda: len(fleet.seen(event="end", task="heartbeat.beat")) >= 1, "the heartbeat runs")


def test_the_processes_stop_cleanly_and_logged_no_unexpected_error(fleet: Fleet) -> None:
    """The last test of the fleet: it ends it."""
    for process in fleet.processes.values():
        process.terminate()
    for name in fleet.processes:
        fleet.stop(name)
    failed = [entry["id"] for entry in [*fleet.seen(state="FAILURE"), *fleet.seen(event="retry")]]
    for name in fleet.processes:
        for entry in entries(fleet.log(name)):
            if not any(task_id in entry for task_id in failed):
                assert "Traceback" not in entry, f"{name}: {entry}"
                assert "DeprecationWarning" not in entry, f"{name}: {entry}"
