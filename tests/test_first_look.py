"""The first look at a project on a machine without a server: `make dev`, `make demo`, and Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from functools import partial
from statistics import median
from typing import Any

import pytest

from conftest import in_checkouts
from servers import PATIENCE, Checkout, free_port
from variants import FULL, Answers, options

EVERY_POOL: list[Answers] = [{"pool": pool} for pool in options()["pool"]]
DEFAULT = EVERY_POOL[0]
NO_RESULTS: Answers = {"result_backend": "none"}
#: Without a RabbitMQ, the server of the project takes its place.
ON_RABBITMQ: list[Answers] = [{"broker": "rabbitmq"}, {"broker": "rabbitmq", "result_backend": "rpc"}]

#: How often a developer starts, looks, cancels and stops.
ROUNDS = 20 if FULL else 2

#: Seconds in which a caller knows what has become of a cancellation, and in which everything ends after the last task.
ANSWER, STOP = 3, 5
#: Seconds that a busy machine may take longer; the summary shows what was measured.
SLOW = PATIENCE

#: Seconds that the tasks take that are cancelled, and those that run when Ctrl-C is pressed.
LONG, SHORT = 8, 2

SLEEP = """
import time

from ..celery import app

@app.task(name="slow.sleep")
def sleep(seconds: float) -> None:
    print("it runs")
    time.sleep(seconds)
    print("slept", seconds, "seconds")
"""

#: Starts such a task, cancels it, waits for its end, and prints what it saw.
CANCEL = """
import json, time
from {package}.celery import app
from {package}.runtime.tasks import followed

app.loader.import_default_modules()
task_id = followed.send(app.tasks["slow.sleep"], {{"seconds": {seconds}}})
while followed.look(app, task_id).state != "STARTED":
    time.sleep(0.05)
asked, answer = time.monotonic(), "cancelled"
try:
    followed.cancel(app, task_id)
except followed.NotCancelledError as error:
    answer = str(error)
took = time.monotonic() - asked
while (state := followed.look(app, task_id).state) not in ("SUCCESS", "REVOKED"):
    time.sleep(0.05)
print(json.dumps([answer, state, took]))
"""

#: What becomes of a running task, by pool: the answer, and the state in which it ends.
ENDS = ("cancelled", "REVOKED")
RUNS_ON = ("cannot end a task|worker does not answer", "SUCCESS")
OUTCOMES = {"prefork": ENDS, "gevent": ENDS, "eventlet": ENDS, "threads": RUNS_ON, "solo": RUNS_ON}


def python(checkout: Checkout, code: str) -> Any:
    """Run Python in a checkout, and return the JSON that it prints last."""
    shown = checkout.run(".venv/bin/python", "-c", code.format(package=checkout.project.package, seconds=LONG))
    return json.loads(shown.splitlines()[-1])


def start(checkout: Checkout) -> None:
    """Run `make dev` until everything is ready."""
    checkout.start("make", "dev")
    checkout.wait(lambda: "ready: " in checkout.log(), "everything is ready")


def examples(checkout: Checkout) -> set[str]:
    """Return the names of the tasks that the demo calls."""
    calls = (checkout.project.folder / "src" / checkout.project.package / "demo.py").read_text("utf-8")
    names = set(re.findall(r'Call\(\s*"(\w+\.\w+)",\s', calls))
    assert len(names) >= 9
    return names


def pool_of(checkout: Checkout) -> str:
    """Return the pool of the general worker."""
    procfile = (checkout.project.folder / "Procfile").read_text("utf-8")
    return str(re.findall(r"--pool \$\{\w+:-(\w+)\}", procfile)[0])


@in_checkouts(*EVERY_POOL, NO_RESULTS, *ON_RABBITMQ)
def test_a_first_look_needs_no_server(checkout: Checkout) -> None:
    project, before = checkout.project, set(os.listdir(checkout.project.folder))
    checkout.variables |= {"CELERY_WORKER_LOGLEVEL": "DEBUG", "CELERY_BEAT_LOGLEVEL": "DEBUG"}
    start(checkout)
    shown = checkout.run("make", "demo")
    sent = re.findall(r"(?m)^sent (\S+)", shown)  # that is all, where results are off
    called = examples(checkout)
    assert set(sent or re.findall(r"(?m)^(\w+\.\w+) .* succeeded$", shown)) == called, shown
    assert max(map(len, shown.splitlines())) <= 80, shown
    local = project.folder / ".celery"

    def succeeded(names: str = r"\w+\.\w+") -> list[str]:
        return re.findall(rf"{names}\[([-0-9a-f]+)\] succeeded after", checkout.log())

    def all_have_succeeded() -> bool:
        log = checkout.log()
        ended = {name for name in called if f" {name}[" in log and succeeded(re.escape(name))}
        return ended == called and log.count("] received") == len(succeeded())

    def mails_are_written() -> bool:
        written = sorted(path.stem for path in (local / "outbox").glob("*.eml"))
        return written == sorted(succeeded(r"notifications\.send_(?!bulk)\w+")) != []

    checkout.wait(all_have_succeeded, "every task succeeds")
    checkout.wait(mails_are_written, "every mail is written, and no other")
    (report,) = (local / "artifacts" / "reports").glob("*.csv")
    assert str(report.relative_to(project.folder)) in shown
    assert all(f".celery/outbox/{name}.eml" in shown for name in succeeded(r"notifications\.send_(?!bulk|mail)\w+"))
    assert re.search(r"Idempotency-Key\s+[-0-9a-f]{36}", shown), shown
    checkout.stop()
    log = checkout.log()
    assert "Traceback" not in log
    assert log.splitlines()[-1].endswith("| stopped")
    for debugged in ("Worker: Preparing bootsteps", "beat: Ticking with max interval"):
        assert debugged in log
    assert set(os.listdir(project.folder)) - before == {".celery", ".venv", "uv.lock"}


def one_round(checkout: Checkout) -> tuple[float, float]:
    """Start, run the demo, cancel a running task, stop; return how long the answer and the stop took."""
    start(checkout)
    checkout.run("make", "demo")
    answer, state, answered = python(checkout, CANCEL)
    # In the moment in which a task starts, it may still see that it was cancelled.
    in_time = "was cancelled before it started" in checkout.log()
    expected, ending = ENDS if in_time else OUTCOMES[pool_of(checkout)]
    assert re.search(expected, answer), answer
    assert state == ending
    task = ("-A", checkout.project.package, "call", "slow.sleep", "--args", f"[{SHORT}]")
    task_id = checkout.run(".venv/bin/celery", *task).split()[-1]
    checkout.wait(lambda: re.search(f"it runs .*{task_id}", checkout.log()), "a task runs")
    begun = time.monotonic()
    checkout.stop()
    stopped = time.monotonic() - begun - SHORT
    log = checkout.log()
    assert f"slow.sleep[{task_id}] succeeded" in log
    assert log.splitlines()[-1].endswith("| stopped")
    assert "Error" not in log
    assert "Traceback" not in log
    return answered, stopped


@in_checkouts(*EVERY_POOL)
def test_every_round_of_start_demo_cancel_and_stop_ends_well(checkout: Checkout, summary: Any) -> None:
    tasks = checkout.project.folder / "src" / checkout.project.package / "tasks"
    (tasks / "slow.py").write_text(SLEEP, "utf-8")
    rounds = [one_round(checkout) for _ in range(ROUNDS)]
    answered, stopped = (sorted(times) for times in zip(*rounds, strict=True))
    told = f"median {median(answered):.1f} s, longest {answered[-1]:.1f} s (wanted: {ANSWER} s)"
    left = f"median {median(stopped):.1f} s, longest {stopped[-1]:.1f} s (wanted: {STOP} s)"
    summary(f"{pool_of(checkout)}, {ROUNDS} rounds of make dev: cancellation {told}, stop after the last task {left}")
    assert answered[-1] < ANSWER + SLOW
    assert stopped[-1] < STOP + SLOW


@in_checkouts(ON_RABBITMQ[0])
def test_the_task_of_a_killed_worker_runs_at_the_next_start(checkout: Checkout) -> None:
    package = checkout.project.package
    (checkout.project.folder / "src" / package / "tasks" / "slow.py").write_text(SLEEP, "utf-8")
    start(checkout)
    task = ("-A", package, "call", "slow.sleep", "--args", f"[{LONG}]")
    task_id = checkout.run(".venv/bin/celery", *task).split()[-1]
    checkout.wait(lambda: re.search(f"it runs .*{task_id}", checkout.log()), "a task runs")
    os.kill(min(int(line.split()[0]) for line in checkout.left() if " general@" in line), signal.SIGKILL)
    checkout.wait(lambda: checkout.process and checkout.process.poll() is not None, "make dev ends")
    assert "general was ended by SIGKILL: stopping the others" in checkout.log()
    start(checkout)
    checkout.wait(lambda: f"slow.sleep[{task_id}] succeeded" in checkout.log(), "the task has run")
    checkout.stop()


@in_checkouts(DEFAULT)
def test_a_signal_to_every_process_at_once_ends_everything(checkout: Checkout) -> None:
    checkout.variables |= {f"{name}_CONCURRENCY": "8" for name in ("GENERAL", "IO", "CPU")}
    start(checkout)
    checkout.stop(signal.SIGTERM)
    assert "Traceback" not in checkout.log()


@in_checkouts({"framework": "fastapi"}, {"framework": "flask"}, {"framework": "django"})
def test_a_start_is_short_and_a_busy_port_is_one_line(checkout: Checkout) -> None:
    port = free_port()
    checkout.variables["WEB_PORT"] = str(port)
    checkout.run("make", "install")
    start(checkout)
    lines = [line for line in checkout.log().splitlines() if "|" in line]
    started = next(number for number, line in enumerate(lines) if "ready: " in line)
    assert started <= 10, lines
    assert f"ready: open http://127.0.0.1:{port}/ or run make demo in a new terminal" in lines[started]
    assert "superuser" not in checkout.log()
    checkout.stop()
    busy = f"Error: port {port} of 127.0.0.1 cannot be used .*WEB_PORT={port + 1}"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(AssertionError, match=busy):
        checkout.run("make", "dev")


@in_checkouts(DEFAULT)
def test_changed_code_is_run_and_a_mistake_in_it_waits_for_the_next_change(checkout: Checkout) -> None:
    module = checkout.project.folder / "src" / checkout.project.package / "tasks" / "heartbeat.py"
    text = module.read_text("utf-8")
    start(checkout)

    def seen(pattern: str) -> bool:
        return bool(re.search(pattern, checkout.log()))

    module.write_text(text.replace("heartbeat from", "changed heartbeat from"), "utf-8")
    changed = rf"src/{checkout.project.package}/tasks/heartbeat.py changed: restarting"
    checkout.wait(partial(seen, rf"(?s){changed}.*ready: "), "everything has restarted")
    checkout.run(".venv/bin/celery", "-A", checkout.project.package, "call", "heartbeat.beat")
    checkout.wait(partial(seen, "changed heartbeat from general"), "the new code runs")
    module.write_text("def f(:\n", "utf-8")
    checkout.wait(partial(seen, r"heartbeat.py:1: invalid syntax: the old code runs on"), "the mistake is shown")
    module.write_text(text, "utf-8")
    checkout.wait(partial(seen, rf"(?s)invalid syntax.*{changed}.*ready: "), "everything has restarted again")
    checkout.stop()


@in_checkouts(DEFAULT, NO_RESULTS, *ON_RABBITMQ)
def test_a_demo_without_a_worker_says_so_at_once_and_leaves_nothing(checkout: Checkout) -> None:
    checkout.run("make", "install")
    begun = time.monotonic()
    with pytest.raises(AssertionError, match="No worker is running: run make dev in another terminal first"):
        checkout.run("make", "demo")
    assert time.monotonic() - begun < ANSWER + SLOW
    start(checkout)
    checkout.stop()
    assert not re.search(r"(?<!heartbeat\.beat)\[[-0-9a-f]{36}\] succeeded", checkout.log())
