"""Generated projects work on real servers: the workers of the Procfile, their leases, a fresh checkout."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from redis import Redis
from werkzeug import Request, Response

from conftest import Installed, Running, in_checkouts
from load import durable_redis, sentinel
from servers import (
    PATIENCE,
    STOP_TIME,
    Canary,
    Checkout,
    Fleet,
    Inbox,
    Place,
    PostgreSQL,
    Project,
    entries,
    free_port,
    needed,
    newer,
    quick_folder,
    rabbitmq_version,
    redis_server,
    wait_until,
)
from variants import FULL, Answers, all_variants, combined, each, load, options, pairwise

POOLS = options()["pool"]
#: Every broker with every pool; other answers are defaults.
WORKERS: list[Answers] = list(all_variants("broker", "pool"))
#: The pools whose workers renew leases while a task runs.
RENEWING = [answers for answers in WORKERS if answers["pool"] != "solo"]
#: Everything that processes depend on, in every combination that is allowed; those with a database
#: are in test_database.py and test_django.py.
FLEETS = [
    answers for answers in combined("broker", "pool", "result_backend", "beat") if "database" not in answers.values()
]

#: Seconds: a visibility timeout for tests, and tasks that are longer.
TIMEOUT = 5
MEDIUM = 12
LONG = 20
SHORT_LEASE = {
    "redis": {"CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": str(TIMEOUT)},
    "rabbitmq": {"CELERY_BROKER_HEARTBEAT": str(TIMEOUT)},
}

#: The heartbeat comes after seconds, so that a test need not wait for a minute.
OFTEN = (
    ("src/*/schedule.py", "schedule(timedelta(minutes=1)), timedelta(seconds=50)", "schedule(5), timedelta(seconds=4)"),
)

#: Progress that is reported often, and goes no further than the file `limit` says, so that it can be seen.
TELLING = (
    ("src/*/runtime/tasks/progress.py", "INTERVAL = 0.5", "INTERVAL = 0.05"),
    (
        "src/*/runtime/tasks/progress.py",
        "meta=dict(report))\n",
        """meta=dict(report))
        from pathlib import Path

        limit = Path("limit")
        while limit.exists() and percent > float(limit.read_text() or 100):
            time.sleep(0.05)
""",
    ),
)

#: Seconds that a busy machine may take longer.
SLOW = PATIENCE

ROWS = 600_000
REGIONS = ("north", "south", "west")

#: Arguments for every example task; where a webhook goes is known in the test only.
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

#: Where the examples of every variant go.
QUEUES = {
    "bulk": {"maintenance.check_disk", "maintenance.purge_artifacts", "notifications.send_bulk"},
    "cpu": {"reports.totals"},
    "critical": {"notifications.send_password_reset", "notifications.send_verification"},
    "default": {"heartbeat.beat"},
    "io": {"notifications.send_mail", "webhooks.deliver"},
}


# The fleet of the Procfile


@dataclass(frozen=True)
class World:
    """A fleet, and the servers of others that it uses."""

    fleet: Fleet
    inbox: Inbox
    server: HTTPServer

    def url(self, path: str, answer: Callable[[Request], Response]) -> str:
        """Return a URL that answers."""
        self.server.expect_request(path).respond_with_handler(answer)
        return self.server.url_for(path)

    def write_sales(self) -> str:
        """Write the rows of a report and return what it must say."""
        folder = self.fleet.cwd / "artifacts"
        folder.mkdir(exist_ok=True)
        rows = "".join(f"{REGIONS[n % 3]},1.25\n" for n in range(ROWS))
        (folder / "sales.csv").write_text(f"region,amount\n{rows}", "utf-8")
        sums = (f"{name},{ROWS / 3 * 1.25:.2f}" for name in REGIONS)
        return "".join(f"{line}\r\n" for line in ("region,amount", *sums))


@each(FLEETS)
def test_the_fleet_of_the_procfile(
    answers: Answers,
    running: Running,
    inbox: Inbox,
    httpserver: HTTPServer,
    tmp_path: Path,
    subtests: pytest.Subtests,
) -> None:
    variables = {
        "APP_ARTIFACTS_URL": (tmp_path / "artifacts").as_uri(),
        "APP_MIN_FREE_DISK_PERCENT": "0.001",
        "APP_SMTP_HOST": "127.0.0.1",
        "APP_SMTP_PORT": str(inbox.port),
        "APP_SMTP_STARTTLS": "false",
    }
    has_beat, has_results = answers["beat"] != "none", answers["result_backend"] != "none"
    tells = load()["_keeps_results"][answers["result_backend"]]
    with running(answers, *(OFTEN if has_beat else ()), *(TELLING if tells else ()), **variables) as fleet:
        fleet.start(*fleet.project.lines)
        left_out = {
            the_progress_of_a_report_is_seen_while_it_runs: not tells,
            a_result_comes_back_to_its_caller: not has_results,
            beat_sends_the_heartbeat: not has_beat,
        }
        for behaviour in BEHAVIOURS:
            if not left_out.get(behaviour):
                with subtests.test(behaviour.__name__):
                    behaviour(World(fleet, inbox, httpserver))


def every_task_runs_once_on_the_queue_and_the_worker_of_the_table(world: World) -> None:
    fleet = world.fleet
    table, workers = fleet.ask("destinations"), fleet.project.workers
    assert {queue: {name for name in table if table[name] == queue} for queue in QUEUES} == QUEUES
    world.write_sales()
    ids = {}
    for name in table:
        arguments = dict(ARGUMENTS[name])
        if name == "webhooks.deliver":
            arguments["url"] = world.url("/any", lambda _: Response(status=204))
        ids[name] = fleet.send(name, **arguments)
    fleet.ends(*ids.values())
    for name, queue in table.items():
        start, end = fleet.seen(id=ids[name])
        assert (start["event"], end["event"], end["state"]) == ("start", "end", "SUCCESS"), name
        assert start["queue"] == queue, name
        assert queue in workers[start["worker"]], name
    for name in ("b1", "b2", "mail", "new", "reset"):
        to = f"{name}@example.com"
        fleet.wait(partial(world.inbox.to, to), f"mail to {to} arrives")
        assert len(world.inbox.to(to)) == 1
    (mail,) = world.inbox.to("mail@example.com")
    assert str(mail["Message-ID"]).startswith(f"<{ids['notifications.send_mail']}@")


def the_progress_of_a_report_is_seen_while_it_runs(world: World) -> None:
    fleet, expected = world.fleet, world.write_sales()
    limit, limits = fleet.cwd / "limit", iter(("50", "100"))
    limit.write_text("0")
    task_id = fleet.send("reports.totals", **ARGUMENTS["reports.totals"])
    seen: list[float] = []

    def ended() -> bool:
        state, info = fleet.ask("look", task_id)
        if state == "PROGRESS" and info["percent"] not in seen:
            seen.append(info["percent"])
            assert info["total"] == ROWS
            if info["percent"] > float(limit.read_text()):
                limit.write_text(next(limits))
        return state not in {"PENDING", "STARTED", "PROGRESS"}

    fleet.wait(ended, "the report ends")
    assert seen == sorted(seen)
    assert len([percent for percent in seen if 0 < percent < 100]) >= 2, seen
    assert fleet.ask("look", task_id) == ["SUCCESS", f"reports/{task_id}.csv"]
    assert (fleet.cwd / "artifacts" / "reports" / f"{task_id}.csv").read_bytes().decode() == expected


def a_result_comes_back_to_its_caller(world: World) -> None:
    assert world.fleet.ask("call", "heartbeat.beat", {}).partition("@")[0] == "general"


class Receiver:
    """Answer requests in turn, and keep when and with which key they came."""

    def __init__(self, *statuses: int, headers: Mapping[str, str] | None = None) -> None:
        self.answers = [Response(status=status, headers=headers) for status in statuses]
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


def deliver(world: World, receiver: Receiver, **kwargs: str) -> tuple[str, str, list[float]]:
    """Send a webhook to a receiver; return id and end of the task and the waits that Celery chose."""
    fleet, url = world.fleet, world.url(f"/{id(receiver)}", receiver)
    task_id = fleet.send("webhooks.deliver", **{**ARGUMENTS["webhooks.deliver"], **kwargs, "url": url})
    fleet.ends(task_id)
    retried = partial(fleet.seen, event="retry", id=task_id)
    # A retry may end in one process before the first try has been recorded in another.
    fleet.wait(lambda: len(retried()) >= len(receiver.times) - 1, "all tries are recorded")
    countdowns = [entry["countdown"] for entry in retried()]
    assert len(fleet.seen(event="start", id=task_id)) == len(receiver.times) == len(countdowns) + 1
    (state,) = (entry["state"] for entry in fleet.seen(event="end", id=task_id) if entry["state"] != "RETRY")
    return task_id, state, countdowns


def a_webhook_carries_the_given_key_or_the_id_of_its_task(world: World) -> None:
    receiver = Receiver(202, 202)
    task_id, state, _ = deliver(world, receiver)
    assert (state, receiver.keys) == ("SUCCESS", [task_id])
    receiver = Receiver(202)
    _, state, _ = deliver(world, receiver, idempotency_key="order-7")
    assert (state, receiver.keys) == ("SUCCESS", ["order-7"])


def a_server_error_is_tried_again_with_the_same_key_and_full_jitter(world: World) -> None:
    receiver = Receiver(500, 502, 200)
    task_id, state, countdowns = deliver(world, receiver)
    assert (state, receiver.keys) == ("SUCCESS", [task_id] * 3)
    for countdown, wait, longest in zip(countdowns, receiver.waits, (2, 4), strict=True):
        assert 0 <= countdown <= longest
        assert countdown - 0.1 <= wait <= countdown + SLOW


def a_retry_waits_as_long_as_the_server_asks(world: World) -> None:
    receiver = Receiver(429, 200, headers={"Retry-After": "3"})
    _, state, countdowns = deliver(world, receiver)
    assert (state, countdowns) == ("SUCCESS", [3])  # more than a first jitter can be
    assert 3 <= receiver.waits[0] <= 3 + SLOW


def a_client_error_is_final(world: World) -> None:
    _, state, countdowns = deliver(world, Receiver(404))
    assert (state, countdowns) == ("FAILURE", [])


def beat_sends_the_heartbeat(world: World) -> None:
    fleet = world.fleet
    fleet.wait(lambda: "Sending due task heartbeat (heartbeat.beat)" in fleet.log("beat"), "beat sends the heartbeat")
    ended = partial(fleet.seen, event="end", task="heartbeat.beat", queue="default", state="SUCCESS")
    fleet.wait(lambda: {entry["id"] for entry in ended()} - fleet.sent, "the heartbeat runs")


def every_process_stops_cleanly(world: World) -> None:
    world.fleet.stop(*world.fleet.processes)


def no_process_logs_an_error_or_a_warning_of_the_project(world: World) -> None:
    fleet = world.fleet
    expected = {entry["id"] for entry in [*fleet.seen(state="FAILURE"), *fleet.seen(event="retry")]}
    wrong = re.compile(rf"Traceback|{re.escape(str(fleet.project.folder))}\S*: \w*Warning")
    for name in fleet.processes:
        for entry in entries(fleet.log(name)):
            assert not wrong.search(entry) or any(task_id in entry for task_id in expected), f"{name}: {entry}"


#: In the order of the test, since the last ones need what came before.
BEHAVIOURS = (
    every_task_runs_once_on_the_queue_and_the_worker_of_the_table,
    the_progress_of_a_report_is_seen_while_it_runs,
    a_result_comes_back_to_its_caller,
    a_webhook_carries_the_given_key_or_the_id_of_its_task,
    a_server_error_is_tried_again_with_the_same_key_and_full_jitter,
    a_retry_waits_as_long_as_the_server_asks,
    a_client_error_is_final,
    beat_sends_the_heartbeat,
    every_process_stops_cleanly,
    no_process_logs_an_error_or_a_warning_of_the_project,
)


# A checkout, as the developers of a project have it


DEFAULT: Answers = {"pool": POOLS[0]}

#: What pytest says when all tests of a kind passed and none was skipped.
ALL_PASSED = r"= \d+ passed, \d+ deselected in"


@pytest.fixture
def canary() -> Iterator[Canary]:
    """Yield a server that nobody should call."""
    canary = Canary()
    yield canary
    canary.socket.close()


def needs_servers(checkout: Checkout) -> None:
    """Skip a test of a project whose own tests start servers that are not there."""
    needed("redis-server")
    if "amqp:" in (checkout.project.folder / ".env.example").read_text("utf-8"):
        needed("rabbitmq-server")


def lead_to(canary: Canary, checkout: Checkout) -> None:
    """Point everything that names a broker to a canary: variables of the shell and an env file."""
    url = f"redis://127.0.0.1:{canary.port}/0"
    names = ("BROKER_URL", "BROKER_READ_URL", "BROKER_WRITE_URL", "RESULT_BACKEND")
    variables = {f"{prefix}{name}": url for name in names for prefix in ("", "CELERY_")}
    checkout.variables |= variables
    lines = "".join(f"{name}={value}\n" for name, value in variables.items())
    (checkout.project.folder / ".env").write_text(lines, "utf-8")


@in_checkouts(*(pairwise() if FULL else combined("broker", "framework")))
def test_the_integration_tests_of_a_project_use_servers_of_their_own(
    request: pytest.FixtureRequest, checkout: Checkout, canary: Canary
) -> None:
    needs_servers(checkout)
    lead_to(canary, checkout)
    variables = {}
    if "TEST_DATABASE_URL" in (checkout.project.folder / "README.md").read_text("utf-8"):
        postgresql: PostgreSQL = request.getfixturevalue("postgresql")
        variables["TEST_DATABASE_URL"] = postgresql.create(f"integration_{time.monotonic_ns()}")
    assert re.search(ALL_PASSED, checkout.run("make", "integration", **variables))
    assert canary.connections == 0


@in_checkouts(DEFAULT)
def test_no_test_of_a_project_reaches_the_broker_of_its_shell(checkout: Checkout, canary: Canary) -> None:
    lead_to(canary, checkout)
    assert re.search(r"= \d+ passed, .*\d+ deselected in", checkout.run("make", "test"))
    assert canary.connections == 0
    with pytest.raises(AssertionError):
        checkout.run(".venv/bin/celery", "-A", checkout.project.package, "call", "heartbeat.beat")
    assert canary.connections > 0, "the canary is deaf"


@in_checkouts(DEFAULT)
def test_the_integration_tests_of_a_project_use_the_given_broker(checkout: Checkout, tmp_path: Path) -> None:
    with redis_server(tmp_path) as url, Redis.from_url(url) as redis:
        output = checkout.run("make", "integration", TEST_BROKER_URL=f"{url}/0", PYTEST_ADDOPTS="-k test_every_queue")
        assert re.search(ALL_PASSED, output)
        assert redis.info("stats")["total_commands_processed"] > 100


# A Redis that is reached by a socket, or by Sentinels


def works_on(fleet: Fleet) -> None:
    """Run a worker and beat: tasks, results, dead letters in the store, and schedules are there."""
    fleet.start("general", "beat")
    assert fleet.ask("call", "heartbeat.beat", {}).partition("@")[0] == "general"
    ended = partial(fleet.seen, event="end", task="heartbeat.beat", state="SUCCESS")
    fleet.wait(lambda: {entry["id"] for entry in ended()} - fleet.sent, "the heartbeat of beat runs")
    for command in ("dead-letters list", "schedule list"):
        line = ["celery", "-A", fleet.project.package, *command.split()]
        done = subprocess.run(line, cwd=fleet.cwd, env=fleet.variables, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert b"Traceback" not in done.stderr


def test_a_socket_of_redis_is_enough(installed: Installed, tmp_path: Path) -> None:
    needed("redis-server")
    project = installed({"beat": "redbeat"}, *OFTEN)
    with quick_folder() as folder:
        options = ["--port", "0", "--unixsocket", str(folder / "socket"), "--dir", str(folder), "--save", ""]
        server = subprocess.Popen([needed("redis-server"), *options], stdout=subprocess.DEVNULL)
        wait_until((folder / "socket").exists, "Redis has its socket")
        url = f"redis+socket://{folder}/socket"
        results = {"CELERY_RESULT_BACKEND": f"{url}?virtual_host=1"}
        fleet = Fleet(project, tmp_path, "redis://none", CELERY_BROKER_URL=url, **results)
        try:
            works_on(fleet)
            with Redis(unix_socket_path=f"{folder}/socket") as queues:
                assert queues.exists(f"{project.package}:beat::schedule")
                assert not list(queues.scan_iter("celery-task-meta-*"))
            fleet.stop("general", "beat")
        finally:
            fleet.close()
            server.kill()
            server.wait()


def test_sentinels_lead_to_the_master_and_to_the_next(installed: Installed, tmp_path: Path) -> None:
    needed("redis-server")
    project, ports = installed({"beat": "redbeat"}, *OFTEN), [free_port() for _ in range(3)]
    login = "requirepass s3cr3t\nsentinel sentinel-pass s3cr3t\n"
    with ExitStack() as stack:
        master = stack.enter_context(durable_redis())
        replica = stack.enter_context(durable_redis("--replicaof", f"127.0.0.1 {master.port}"))
        for port in ports:
            (tmp_path / str(port)).mkdir()
            stack.enter_context(sentinel(tmp_path / str(port), port, master.port, login))
        hosts = [f"sentinel://127.0.0.1:{port}" for port in ports]
        named = {
            f"CELERY_{where}_TRANSPORT_OPTIONS__{name}": value
            for where in ("BROKER", "RESULT_BACKEND")
            for name, value in (("MASTER_NAME", "main"), ("SENTINEL_KWARGS__PASSWORD", "s3cr3t"))
        }
        urls = {
            name: ";".join(f"{host}/{database}" for host in hosts)
            for name, database in (("CELERY_BROKER_URL", 0), ("CELERY_RESULT_BACKEND", 1), ("APP_STORE_URL", 2))
        }
        fleet = Fleet(project, tmp_path, "redis://none", **urls, **named)
        stack.callback(fleet.close)
        with Redis(port=master.port) as server:
            wait_until(lambda: server.wait(1, 1000), "the replica is there")
        works_on(fleet)
        master.kill()
        wait_until(lambda: Redis(port=replica.port).role()[0] == b"master", "the replica is the master", 60)
        before = len(fleet.seen(event="end", task="heartbeat.beat", state="SUCCESS"))
        ended = partial(fleet.seen, event="end", task="heartbeat.beat", state="SUCCESS")
        fleet.wait(lambda: len(ended()) > before + 1, "beat and the worker go on")
        assert fleet.ask("call", "heartbeat.beat", {}).partition("@")[0] == "general"


def test_a_result_arrives_after_a_restart_of_redis(installed: Installed, tmp_path: Path) -> None:
    """Of waits that subscribe by a connection to the earlier server, some would not hear of their result."""
    needed("redis-server")
    with ExitStack() as stack:
        server = stack.enter_context(durable_redis())
        fleet = Fleet(installed({}), tmp_path, f"redis://127.0.0.1:{server.port}")
        stack.callback(fleet.close)
        fleet.start("general")
        for _ in range(5):
            assert fleet.ask("call", "heartbeat.beat", {}).partition("@")[0] == "general"
            server.kill()
            server.start()
            fleet.ends(fleet.send("heartbeat.beat"))  # the worker is back
        assert fleet.ask("call", "heartbeat.beat", {}).partition("@")[0] == "general"


# Urgency, with workers of the Procfile's line


#: One task at a time in the workers that these tests start.
ALONE = {"GENERAL_CONCURRENCY": "1", "CRITICAL_CONCURRENCY": "1"}


@each(WORKERS)
def test_urgent_work_overtakes_a_backlog_within_one_task(answers: Answers, running: Running) -> None:
    with running(answers) as fleet:
        fleet.ask("send_many", 100, "probe.sleep", [0.2], {}, {"queue": "bulk"})
        workers = fleet.project.workers.items()
        fleet.start(*(name for name, queues in workers if {"critical", "bulk"} & set(queues)), **ALONE)
        fleet.wait(lambda: len(fleet.seen(event="start", queue="bulk")) >= 5, "the worker is busy")
        urgent = fleet.ask("send_many", 5, "probe.sleep", [0], {}, {"queue": "critical"})
        sent = time.time()
        fleet.ends(*urgent)
        last = max(entry["time"] for entry in fleet.seen(event="start", queue="critical"))
        bulk = [entry["time"] for entry in fleet.seen(event="start", queue="bulk")]
        assert len([started for started in bulk if sent < started < last]) <= 2
        assert len(bulk) < 50, "the backlog was gone too soon to prove anything"


@each(WORKERS)
def test_a_busy_worker_takes_the_next_task_at_once(answers: Answers, running: Running) -> None:
    with running(answers) as fleet:
        fleet.ask("send_many", 60, "probe.sleep", [0.05], {}, {"queue": "bulk"})
        fleet.start("general", GENERAL_CONCURRENCY="1")
        fleet.wait(lambda: len(fleet.seen(event="end")) == 60, "all tasks end")
        starts = [entry["time"] for entry in fleet.seen(event="start")]
        assert len(starts) == 60
        # With 2 s before each task, as without our transport in some pools, it would take 118.
        assert starts[-1] - starts[0] < SLOW / 2, "a task waits although the worker is free"


#: A queue with ten priorities in place of two.
CLASSIC = ("src/*/queues.py", "frozenset[QueueName] = frozenset()", "frozenset = frozenset({QueueName.DEFAULT})")


def high_overtakes_low(fleet: Fleet) -> None:
    """Send 100 low tasks and a high one before a worker starts: the high one runs first."""
    low, high = ({"queue": "default", "priority": fleet.ask("priority", name)} for name in ("LOW", "HIGH"))
    fleet.ask("send_many", 100, "probe.sleep", [0], {}, low)
    urgent = fleet.send("probe.sleep", 0, options=high)
    fleet.start("general", **ALONE)
    fleet.wait(lambda: len(fleet.seen(event="start")) > 2, "the worker works")
    assert fleet.seen(event="start")[0]["id"] == urgent


@each(WORKERS)
def test_high_priority_overtakes_in_its_queue(answers: Answers, running: Running) -> None:
    with running(answers, place=newer()) as fleet:
        high_overtakes_low(fleet)


def test_high_priority_overtakes_on_the_redis_of_this_machine(running: Running) -> None:
    with running({"broker": "redis"}, place=Place()) as fleet:
        high_overtakes_low(fleet)


@pytest.mark.parametrize("place", [newer, Place])
def test_a_classic_queue_of_rabbitmq_has_ten_priorities(place: Callable[[], Place], running: Running) -> None:
    with running({"broker": "rabbitmq"}, CLASSIC, place=place()) as fleet:
        for priority in (3, 9, 1, 7, 5, 0, 8, 2, 6, 4):
            fleet.ask("send_many", 3, "probe.sleep", [0, priority], {}, {"queue": "default", "priority": priority})
        fleet.start("general", **ALONE)
        fleet.wait(lambda: len(fleet.seen(event="start")) == 30, "all tasks run")
        order = [entry["args"][1] for entry in fleet.seen(event="start")]
        assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("place", [newer, Place])
def test_an_old_queue_of_another_kind_is_explained(place: Callable[[], Place], running: Running) -> None:
    with running({"broker": "rabbitmq"}, place=place()) as fleet:
        fleet.ask("declare_classic", "default")
        celery = [str(fleet.project.environment / "bin" / "celery"), "-A", fleet.project.package]
        for command in (["worker", "--queues", "bulk", "--concurrency", "1"], ["dead-letters", "list"]):
            done = subprocess.run(
                [*celery, *command],
                cwd=fleet.cwd,
                env=fleet.variables,
                capture_output=True,
                encoding="utf-8",
                timeout=120,
                check=False,
            )
            (line,) = [line for line in done.stderr.splitlines() if "virtual host" in line]
            assert "old queue 'default' in vhost '/'" in line
            assert re.search(r"whose 'x-[-a-z]+' differs \(received .+ but current is", line), line
            assert done.returncode == 1, done
            assert "Traceback" not in done.stdout + done.stderr
        for options in ({}, {"countdown": 5}):
            seconds, error = fleet.ask("timed", "send", "probe.step", [], {}, {"queue": "default", **options})
            assert error.startswith("MismatchError: RabbitMQ has an old queue 'default' in vhost '/'"), error
            assert "\n" not in error
            assert seconds < 3


def test_the_servers_are_the_versions_that_this_project_promises(
    rabbitmq: Callable[[Place], str], tmp_path: Path, summary: Callable[[str], None]
) -> None:
    versions = []
    for place in (Place(), newer()):
        with redis_server(tmp_path, place) as url, Redis.from_url(url) as redis:
            versions.append(f"Redis {redis.info('server')['redis_version']}")
        versions.append(f"RabbitMQ {rabbitmq_version(rabbitmq(place))}")
    postgresql = subprocess.run([needed("postgres"), "--version"], capture_output=True, encoding="utf-8", check=True)
    summary(f"Servers: {', '.join(versions)}, PostgreSQL {postgresql.stdout.split()[2]}")
    majors = [version.partition(".")[0] for version in versions]
    assert majors == ["Redis 7", "RabbitMQ 3", "Redis 8", "RabbitMQ 4"]


# Countdowns


@each(WORKERS)
def test_tasks_with_an_eta_do_not_hold_up_others(answers: Answers, running: Running) -> None:
    with running(answers) as fleet:
        fleet.start("general", **ALONE)
        sent = time.time()
        later = fleet.ask("send_many", 12, "probe.sleep", [0], {}, {"countdown": LONG})
        at_once = fleet.ask("send_many", 5, "probe.sleep", [0], {}, {})
        fleet.ends(*at_once, *later)
        starts = {entry["id"]: entry["time"] for entry in fleet.seen(event="start")}
        assert min(starts[task_id] for task_id in later) - sent >= LONG - 1
        assert max(starts[task_id] for task_id in at_once) < min(starts[task_id] for task_id in later)


def test_a_countdown_needs_no_worker_and_no_whole_seconds(running: Running) -> None:
    with running({"broker": "rabbitmq"}) as fleet:
        # Of queues that no worker has declared; "io" is another worker's.
        early = [
            fleet.send("probe.sleep", 0, options={"countdown": countdown, "queue": queue})
            for countdown in (0.2, 3)
            for queue in ("default", "io")
        ]
        fleet.start("general")
        late = fleet.send("probe.sleep", 0, options={"countdown": 2, "queue": "io"})
        time.sleep(4)  # the delays end while nobody has ever consumed the queue
        fleet.start("io")
        fleet.ends(*early, late)
        for name in ("general", "io"):
            assert not re.search(r"\[(ERROR|CRITICAL) *\]", fleet.log(name)), fleet.log(name)


# Leases


@each(RENEWING)
def test_what_outlasts_the_lease_starts_once(answers: Answers, running: Running) -> None:
    with running(answers, **SHORT_LEASE[str(answers["broker"])]) as fleet:
        fleet.start_general("one", "two")
        sent = time.time()
        held = fleet.send("probe.sleep", LONG)
        waiting = fleet.send("probe.sleep", 0, options={"countdown": LONG})
        fleet.ends(held, waiting)
        time.sleep(TIMEOUT + 3)  # a second run would have started by then
        assert len(fleet.seen(event="start", id=held)) == 1
        (start,) = fleet.seen(event="start", id=waiting)
        assert start["time"] - sent >= LONG


@each(RENEWING)
def test_a_stopping_worker_ends_its_task_and_gives_back_what_waits(answers: Answers, running: Running) -> None:
    with running(answers, CELERY_WORKER_LOGLEVEL="DEBUG", **SHORT_LEASE[str(answers["broker"])]) as fleet:
        fleet.start_general("one")
        sent = time.time()
        held = fleet.send("probe.sleep", LONG)  # RabbitMQ forgives some missing heartbeats
        waiting = fleet.send("probe.sleep", 0, options={"countdown": MEDIUM})
        fleet.wait(lambda: fleet.seen(event="start", id=held), "the task starts")
        if answers["broker"] == "redis":  # RabbitMQ holds it itself
            fleet.wait(lambda: f"[{waiting}] received" in fleet.log("one"), "the worker holds the countdown")
        fleet.start_general("two")
        fleet.stop("one", timeout=LONG + STOP_TIME)
        (end,) = fleet.seen(event="end", id=held)
        assert (end["worker"], end["state"]) == ("one", "SUCCESS")
        fleet.ends(waiting)
        time.sleep(TIMEOUT + 3)
        assert len(fleet.seen(event="start", id=held)) == 1
        (start,) = fleet.seen(event="start", id=waiting)
        assert start["worker"] == "two"
        assert start["time"] - sent >= MEDIUM


@each(RENEWING)
def test_the_tasks_of_a_killed_worker_run_elsewhere_soon(answers: Answers, running: Running) -> None:
    with running(answers, CELERY_WORKER_LOGLEVEL="DEBUG", **SHORT_LEASE[str(answers["broker"])]) as fleet:
        fleet.start_general("one")
        held = fleet.send("probe.sleep", 600)
        fleet.wait(lambda: fleet.seen(event="start", id=held), "the task starts")
        sent = time.time()
        waiting = fleet.send("probe.sleep", 0, options={"countdown": LONG})
        if answers["broker"] == "redis":  # RabbitMQ holds it itself
            fleet.wait(lambda: f"[{waiting}] received" in fleet.log("one"), "the worker holds the countdown")
        fleet.start_general("two")
        fleet.kill("one")
        fleet.wait(
            lambda: fleet.seen(event="start", id=held, worker="two"), "the task starts elsewhere", SLOW + TIMEOUT
        )
        fleet.ends(waiting)
        (start,) = fleet.seen(event="start", id=waiting)
        assert start["worker"] == "two"
        assert start["time"] - sent >= LONG


@pytest.mark.parametrize("broker", options()["broker"])
def test_a_busy_worker_that_is_killed_loses_nothing(broker: str, running: Running) -> None:
    with running({"broker": broker, "pool": "prefork"}, **SHORT_LEASE[broker]) as fleet:
        sent = set(fleet.ask("send_many", 2000, "probe.step", [], {}, {}))

        def ended() -> set[str]:
            return {entry["id"] for entry in fleet.seen(event="end")}

        for number in range(5):
            enough = len(ended()) + 50
            fleet.start_general(f"killed{number}")
            fleet.wait(partial(lambda enough: len(ended()) >= enough, enough), "the worker is busy")
            fleet.kill(f"killed{number}")
        assert len(ended()) < len(sent), "no worker was busy when it was killed"
        fleet.start_general("last")
        fleet.wait(lambda: ended() == sent, "all tasks end")


@pytest.mark.parametrize("broker", options()["broker"])
def test_a_solo_worker_refuses_a_lease_that_its_tasks_may_outlast(
    broker: str, installed: Installed, tmp_path: Path
) -> None:
    project = installed({"broker": broker, "pool": "solo"})
    for line in (project.lines[name] for name in project.workers):
        assert "(5 s) must exceed the hard time limit" in refusal(project, line, tmp_path, **SHORT_LEASE[broker])


# Wrong settings


def refusal(project: Project, line: str, cwd: Path, **variables: str) -> str:
    """Run a command that must end at once and return the one line that it writes."""
    scheme = "amqp" if "amqp" in (project.folder / ".env.example").read_text("utf-8") else "redis"
    urls = {
        "CELERY_BROKER_URL": f"{scheme}://127.0.0.1:{free_port()}/0",
        "CELERY_RESULT_BACKEND": f"redis://127.0.0.1:{free_port()}/0",
    }
    hide_others = {"PYTHONWARNINGS": "ignore"}  # of Celery about root, of eventlet about itself
    result = subprocess.run(
        ["/bin/sh", "-c", f"exec {line}"],
        cwd=cwd,
        env={**project.variables(cwd), **hide_others, **urls, **variables},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode != 0, result.stdout
    # On Python 3.11 eventlet tells of a lock in the interpreter that it cannot patch.
    (line,) = [line for line in result.stderr.splitlines() if "not greened" not in line]
    assert "Configuration error: " in line  # of a worker whose log is already configured, a line of that
    assert "Traceback" not in result.stdout
    return line


WRONG = {
    "maybe": ({"CELERY_TASK_ACKS_LATE": "maybe"}, "CELERY_TASK_ACKS_LATE='maybe'"),
    "misspelt": ({"CELERY_TASK_ACK_LATE": "true"}, "Did you mean CELERY_TASK_ACKS_LATE"),
    "soft limit": ({"CELERY_TASK_SOFT_TIME_LIMIT": "1000"}, "must be below the hard one"),
    "no broker": ({"APP_ENV": "production", "CELERY_BROKER_URL": ""}, "CELERY_BROKER_URL is not set"),
    "no verification": (
        {"APP_ENV": "production", "CELERY_BROKER_URL": "rediss://:x9@redis.internal/0"},
        "add ?ssl_cert_reqs=required",
    ),
}


@pytest.mark.parametrize("command", ["worker", "beat", "report"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_setting_ends_a_command_in_one_line(
    wrong: str, command: str, installed: Installed, tmp_path: Path
) -> None:
    project = installed({})
    variables, sentence = WRONG[wrong]
    assert sentence in refusal(project, f"celery -A {project.package} {command}", tmp_path, **variables)


def test_a_misspelt_setting_in_the_env_file_ends_a_worker_in_one_line(installed: Installed, tmp_path: Path) -> None:
    project = installed({})
    (tmp_path / ".env").write_text("CELERY_TASK_ACK_LATE=true\n", "utf-8")
    assert "Did you mean CELERY_TASK_ACKS_LATE" in refusal(project, project.lines["general"], tmp_path)
