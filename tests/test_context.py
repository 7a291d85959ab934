"""Context, coroutines and resources of generated projects, in every pool and on real servers."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from conftest import Installed, Running
from servers import Fleet
from test_servers import WORKERS, refusal
from variants import Answers, each, options

WEB = ("request-7", "acme")
#: Pools in which coroutines run.
GREENLETS = ("gevent", "eventlet")
LOOPS: list[Answers] = [{"pool": pool} for pool in options()["pool"] if pool not in GREENLETS]
PREFORK: Answers = {"pool": "prefork"}


@pytest.fixture
def general(running: Running) -> Running:
    """Return a function that runs a fleet with one worker for the queues that need not wait."""

    @contextmanager
    def run_general(answers: Answers, **variables: str) -> Iterator[Fleet]:
        with running(answers, **variables) as fleet:
            fleet.start("general")
            yield fleet

    return run_general


def have_ended(fleet: Fleet, number: int, what: str, **wanted: object) -> list[dict[str, Any]]:
    """Wait until so many tasks have ended, other than for a retry, and return these records."""

    def ends() -> list[dict[str, Any]]:
        return [entry for entry in fleet.seen(event="end", **wanted) if entry["state"] != "RETRY"]

    fleet.wait(lambda: len(ends()) >= number, what)
    assert len(ends()) == number, ends()
    return ends()


# Context


@each(WORKERS)
def test_one_id_travels_through_chain_chord_retry_and_callback(answers: Answers, general: Running) -> None:
    with general(answers) as fleet:
        fleet.ask("bound", *WEB, "workflow")
        have_ended(fleet, 9, "the workflow ends")
        fleet.ask("workflow")
        have_ended(fleet, 18, "the one without a given id ends")
        expected = {"step": 4, "try_again": 4, "publish": 1, "fail": 1, "on_error": 1}
        by_context: defaultdict[tuple[str, Any], list[dict[str, Any]]] = defaultdict(list)
        for entry in fleet.seen(event="start"):
            by_context[entry["correlation_id"], entry["tenant"]].append(entry)
        assert len(by_context) == 2, list(by_context)
        for entries in by_context.values():
            assert Counter(entry["task"].removeprefix("probe.") for entry in entries) == expected
        assert WEB in by_context
        (other,) = by_context.keys() - {WEB}
        assert other in [(entry["id"], None) for entry in by_context[other]], "the id of the first task"
        fleet.stop("general")
        for given, entries in by_context.items():
            for task_id in {entry["id"] for entry in entries}:
                lines = [line for line in fleet.log("general").splitlines() if f"[{task_id}] " in line]
                assert lines, "one that it has ended"
                assert [line for line in lines if not has_context(line, *given)] == []


def has_context(line: str, correlation_id: str, tenant: str | None) -> bool:
    """Whether a line of a log has a correlation id, and a tenant if there is one."""
    return f"correlation_id={correlation_id}" in line and (tenant is None or f"tenant={tenant}" in line)


@pytest.mark.parametrize(
    ("task", "arguments", "options", "states"),
    [
        ("probe.die", [1], {}, ["SUCCESS"]),
        ("probe.die", [99], {}, []),
        ("probe.sleep", [60], {"soft_time_limit": 50, "time_limit": 1}, []),
    ],
    ids=["runs again", "fails for good", "exceeds the hard limit"],
)
def test_the_context_outlives_the_process_of_a_task(
    task: str, arguments: list[Any], options: dict[str, Any], states: list[str], general: Running
) -> None:
    with general(PREFORK) as fleet:
        task_id = fleet.ask("bound", *WEB, "send_with_callback", task, arguments, options)
        if states:
            fleet.ends(task_id)
            assert len(fleet.seen(event="start", id=task_id)) == 2
        else:
            # Celery 5.7 calls back twice after a hard limit.
            fleet.wait(lambda: fleet.seen(event="end", task="probe.on_error"), "the error callback runs")
        assert {(entry["correlation_id"], entry["tenant"]) for entry in fleet.seen(event="start")} == {WEB}
        lines = [line for line in fleet.log("general").splitlines() if task_id in line]
        assert [line for line in lines if not has_context(line, *WEB)] == []


@each([answers for answers in WORKERS if answers["pool"] not in ("prefork", "solo")])
def test_tenants_are_never_mixed(answers: Answers, general: Running, tally: Callable[[str, int, int], None]) -> None:
    with general(answers, GENERAL_CONCURRENCY="20") as fleet:
        sent = fleet.ask("fan_out", 150, "acme", "globex")
        entries = have_ended(fleet, 2 * len(sent), "all tasks end", task="probe.check")
        right = [entry["state"] for entry in entries].count("SUCCESS")
        tally("interleaved tasks of two tenants that saw their own context only, of tasks", right, len(entries))
        assert right == len(entries)
        assert Counter(entry["tenant"] for entry in entries) == {"acme": 300, "globex": 300}


@pytest.mark.parametrize("noisy", ["acme", ""], ids=["named", "not named"])
def test_a_noisy_tenant_that_is_named_does_not_starve_another(noisy: str, running: Running) -> None:
    with running(PREFORK, APP_NOISY_TENANTS=noisy) as fleet:
        backlog = fleet.ask("bound", None, "acme", "send_many", 150, "probe.sleep", [0.02], {}, {})
        quiet = fleet.ask("bound", None, "globex", "send_many", 5, "probe.sleep", [0.02], {}, {})
        fleet.start("general", GENERAL_CONCURRENCY="1")
        fleet.ends(*quiet)
        order = [entry["id"] for entry in fleet.seen(event="start")]
        before = len(set(order[: order.index(quiet[-1])]) & set(backlog))
        assert before <= 2 if noisy else before == len(backlog)


# Resources


class Receiver(BaseHTTPRequestHandler):
    """Take webhooks and keep their connections open; remember the port of each sender."""

    protocol_version = "HTTP/1.1"
    ports: dict[str, int]

    def do_POST(self) -> None:
        """Accept."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.ports[self.headers["Idempotency-Key"]] = self.client_address[1]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def test_child_processes_share_no_connection_and_keep_their_own(
    running: Running, summary: Callable[[str], None]
) -> None:
    Receiver.ports = {}
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server,
        running(PREFORK) as fleet,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fleet.start("io", IO_CONCURRENCY="4")
        call: dict[str, Any] = {"url": f"http://127.0.0.1:{server.server_port}/", "event": "paid", "payload": {}}
        ids = [fleet.send("webhooks.deliver", **call) for _ in range(100)]
        fleet.ends(*ids)
        connections: defaultdict[int, set[int]] = defaultdict(set)
        tasks: Counter[int] = Counter()
        for entry in fleet.seen(event="start", task="webhooks.deliver"):
            connections[entry["pid"]].add(Receiver.ports[entry["id"]])
            tasks[entry["pid"]] += 1
        rows = (f"  process {pid}: {tasks[pid]} tasks, client port {ports}" for pid, ports in connections.items())
        summary("HTTP connections of child processes:\n" + "\n".join(rows))
        assert len(connections) == 4
        assert fleet.processes["io"].pid not in connections, "the parent runs no task"
        assert [len(ports) for ports in connections.values()] == [1] * 4
        assert len(set.union(*connections.values())) == 4
        fleet.stop("io")
        server.shutdown()


@each(WORKERS)
def test_a_process_closes_what_it_has_opened(answers: Answers, general: Running) -> None:
    with general(answers) as fleet:
        fleet.ends(*(fleet.send("probe.own") for _ in range(40)))
        opened = {(entry["pid"], entry["identity"]) for entry in fleet.seen(event="owned")}
        processes = {pid for pid, _ in opened}
        assert len(opened) == len(processes) == (4 if answers["pool"] == "prefork" else 1)
        fleet.stop("general")
        assert Counter(entry["pid"] for entry in fleet.seen(event="closed")) == Counter(processes)


@each([{"pool": pool} for pool in ("threads", *GREENLETS)])
def test_many_tasks_that_end_at_once_are_acknowledged_at_once(answers: Answers, general: Running) -> None:
    with general(answers, GENERAL_CONCURRENCY="50") as fleet:
        together = time.time() + 5
        ids = [fleet.send("probe.sleep_until", together) for _ in range(50)]
        fleet.ends(*ids)
        assert min(entry["time"] for entry in fleet.seen(event="end")) >= together, "they did not all run at once"
        fleet.stop("general")
        assert len(fleet.seen(event="end")) == len(ids)
        assert "Traceback" not in fleet.log("general")


# Coroutines


@each(LOOPS)
def test_a_process_has_one_loop_for_all_coroutines(answers: Answers, general: Running) -> None:
    with general(answers, GENERAL_CONCURRENCY="2") as fleet:
        ids = {
            f"request-{n}": fleet.ask("bound", f"request-{n}", "acme", "send", "probe.run_coroutine", [], {}, {})
            for n in range(20)
        }
        fleet.ends(*ids.values())
        entries = fleet.seen(event="coroutine")
        assert {entry["thread"] for entry in entries} == {"asyncio"}
        loops = {(entry["pid"], entry["loop"]) for entry in entries}
        assert len(loops) == len({pid for pid, _ in loops}) == (2 if answers["pool"] == "prefork" else 1)
        assert {entry["id"]: entry["inside"] for entry in entries} == {
            task_id: [name, "acme"] for name, task_id in ids.items()
        }
        fleet.stop("general")
        assert "Traceback" not in fleet.log("general")


@each(LOOPS)
def test_a_coroutine_ends_with_its_task(answers: Answers, general: Running) -> None:
    with general(answers) as fleet:
        calls: list[tuple[float, dict[str, float]]] = [(1, {})]
        if answers["pool"] == "prefork":  # the only pool with soft limits
            calls.append((60, {"soft_time_limit": 1}))
        for seconds, options in calls:
            task_id = fleet.send("probe.run_endless_coroutine", seconds, options={**options, "retries": 8})
            fleet.ends(task_id)
            (entry,) = fleet.seen(event="cancelled", id=task_id)
            assert entry["ended"] == [True]
            assert fleet.seen(event="end", id=task_id)[-1]["state"] == "FAILURE"


@each([{"pool": pool} for pool in GREENLETS])
def test_a_greenlet_worker_refuses_coroutines_in_one_sentence(answers: Answers, general: Running) -> None:
    with general(answers) as fleet:
        task_id = fleet.send("probe.run_coroutine")
        fleet.ends(task_id)
        (end,) = fleet.seen(event="end", id=task_id)
        assert end["state"] == "FAILURE"
        sentence = rf"RuntimeError: coroutines cannot run under the {answers['pool']} pool: .+"
        fleet.wait(lambda: re.search(sentence, fleet.log("general")), "it is told")


@each(WORKERS)
def test_a_worker_refuses_a_task_that_is_a_coroutine_function(
    answers: Answers, installed: Installed, tmp_path: Path
) -> None:
    project = installed(answers)
    line = project.lines["general"]
    sentence = refusal(project, line, tmp_path, CELERY_WORKER_INCLUDE="coroutine_task", PYTHONWARNINGS="ignore")
    assert "the task coroutine_task.coroutine is `async def`" in sentence
    assert "aio.run()" in sentence
