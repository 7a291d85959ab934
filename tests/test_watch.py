"""A real Prometheus reads the metrics of running fleets, and its figures are those of what was sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from conftest import Baked, Running
from prometheus import TOKEN, prometheus
from servers import PATIENCE, Project, free_port, needed
from support import run
from test_choices import migrate
from test_servers import OFTEN
from variants import Answers, each, load, variant_id

ADMIN = "fedcba9876543210" * 2

#: Every pool, framework and broker.
VARIANTS: list[Answers] = [
    {"broker": "redis", "pool": "prefork", "framework": "fastapi"},
    {"broker": "redis", "pool": "threads", "framework": "flask"},
    {"broker": "redis", "pool": "gevent", "framework": "none"},
    {"broker": "redis", "pool": "eventlet", "framework": "none"},
    {"broker": "redis", "pool": "solo", "framework": "none"},
    {"broker": "rabbitmq", "pool": "prefork", "framework": "django"},
]

#: How often each task is sent in a round, and how many rounds each of three workers has in turn. The later ones
#: have less, so that their counters end below those before, and Prometheus sees that they began anew.
SENT = {"probe.step": 10, "probe.fail": 2, "probe.try_again": 3, "probe.sleep": 2}
ROUNDS = (3, 2, 1)


def submit(port: int, path: str, token: str, task: str) -> None:
    """Send a task over HTTP."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"task": task}).encode()
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", body, headers), timeout=PATIENCE) as answer:
        assert answer.status == 202


def blocks(project: Path, kind: str) -> list[str]:
    """Return the blocks of the document about metrics that are of a kind."""
    return re.findall(rf"(?ms)^```{kind}\n(.+?)^```", (project / "docs" / "watch.md").read_text("utf-8"))


def test_the_commands_of_the_document(running: Running) -> None:
    needed("curl")
    with running({}) as fleet:
        first, second, *_ = blocks(fleet.project.folder, "sh")
        setting, _, worker = first.splitlines()[0].partition(" ")
        place = {"APP_METRICS_PORT": str(free_port())}
        assert (setting, worker[:10]) == ("APP_METRICS_PORT=9812", ".venv/bin/")
        fleet.start("general", line=worker.removeprefix(".venv/bin/"), **place)
        look = re.sub("9812(.*)    # .*", rf"{place['APP_METRICS_PORT']}\1", first.splitlines()[1])
        assert 'celery_worker_up{hostname="general"} 1.0' in run(["/bin/sh", "-c", look], fleet.cwd)
        exporter, _, url = second.strip().partition("    # at ")
        place = {"APP_METRICS_PORT": str(free_port())}
        assert url == "http://127.0.0.1:9808/metrics"
        fleet.start("exporter", line=exporter.removeprefix(".venv/bin/"), **place)
        with urlopen(f"http://127.0.0.1:{place['APP_METRICS_PORT']}/metrics", timeout=PATIENCE) as answer:
            assert b"celery_broker_up 1.0" in answer.read()


@each([{"systemd": True}, {"supervisor": True, "docker": False, "broker": "rabbitmq", "beat": "none"}])
def test_prometheus_finds_every_process_of_a_machine(answers: Answers, baked: Baked, tmp_path: Path) -> None:
    project = baked(answers)
    text = (project / "deploy/monitoring/prometheus.yaml").read_text("utf-8")
    if answers.get("docker", True):
        (text,) = blocks(project, "yaml")
        file = tmp_path / "prometheus.yaml"
        file.write_text(text, "utf-8")
        run([needed("promtool"), "check", "config", str(file)], tmp_path)
    ports = set(map(int, re.findall(r"- 127\.0\.0\.1:(\d+)", text)))
    names = Project(project).deployed(answers).keys() - {"web"}
    assert ports == {load()["_metrics_ports"][name] for name in names}


@pytest.mark.parametrize("answers", VARIANTS, ids=variant_id)
def test_prometheus_counts_what_was_sent(answers: Answers, running: Running, tmp_path: Path) -> None:
    names = ("general", "io", "beat", "exporter")
    ports = {name: free_port() for name in names}
    web = None if answers["framework"] == "none" else free_port()
    variables = {
        "APP_ADMIN_TOKEN": ADMIN,
        "APP_API_TOKEN": ADMIN,  # of Django
        "APP_METRICS_TOKEN": TOKEN,
        "CELERY_WORKER_MAX_TASKS_PER_CHILD": "2",  # the processes of prefork are replaced dozens of times
        "DATABASE_URL": f"sqlite:///{tmp_path}/database.sqlite",
        "WEB_CONCURRENCY": "2" if answers["framework"] != "fastapi" else "1",
    }
    if web is not None:
        variables["WEB_PORT"] = str(web)
    with (
        running(answers, *OFTEN, **variables) as fleet,
        prometheus(fleet.project.folder, tmp_path, ports, web) as server,
    ):
        migrate(fleet)

        def start(*names: str) -> None:
            for name in names:
                line = f"celery -A {fleet.project.package} exporter" if name == "exporter" else ""
                fleet.start(name, line=line, APP_METRICS_PORT=str(ports[name]))

        def shows(expected: float, query: str) -> None:
            fleet.wait(lambda: server.value(query) == expected, f"{query} is {expected}")

        def counts(expected: float, event: str, **labels: str) -> None:
            counter, what = f"celery_task_{event}_total", f"{event} {labels}"
            fleet.wait(lambda: server.counted(counter, **labels) >= expected, f"{what} is {expected}")
            assert server.counted(counter, **labels) == expected, what

        def send(rounds: int) -> None:
            for task, number in SENT.items():
                arguments = (0.01,) if task == "probe.sleep" else ()
                fleet.ask("send_many", rounds * number, task, arguments, {}, {})

        def have_run(rounds: int) -> None:
            for task, number in SENT.items():
                times = rounds * number
                counts(times, "failed" if task == "probe.fail" else "succeeded", name=task, hostname="general")
                counts(times * (2 if task == "probe.try_again" else 1), "started", name=task, hostname="general")
            again = rounds * SENT["probe.try_again"]
            counts(again, "retried", name="probe.try_again")
            counts(again, "sent", name="probe.try_again", hostname="general")
            counts(rounds * SENT["probe.fail"], "failed", exception="ValueError")
            shows(rounds * SENT["probe.fail"], "celery_dead_letters_stored")

        length, series = 'celery_queue_length{queue_name="default"}', 'count({hostname="general"})'

        # What waits is known before any worker runs.
        for level in ("LOW", "NORMAL", "HIGH"):
            fleet.send("probe.on_error", options={"priority": fleet.ask("priority", level)})
        start("exporter")
        shows(3, length)
        shows(1, "celery_broker_up")
        start("general", "io")
        revoked = [str(uuid4()) for _ in range(3)]
        celery = [str(fleet.project.environment / "bin" / "celery"), "-A", fleet.project.package]
        run([*celery, "control", "revoke", *revoked], fleet.cwd, **fleet.variables)
        for task_id in revoked:
            fleet.send("probe.publish", options={"task_id": task_id})
        counts(3, "revoked", name="probe.publish")
        counts(3, "succeeded", name="probe.on_error")
        shows(0, length)

        first, second, third = ROUNDS
        send(first)
        have_run(first)
        before = server.value(series)
        fleet.kill("general")
        start("general")
        send(second)
        have_run(first + second)
        fleet.stop("general")
        start("general")
        send(third)
        have_run(first + second + third)
        # As many as in the beginning, except for those of what was sent only then.
        assert server.value(series) <= before

        start("beat")
        late = "time() - celery_beat_last_tick_timestamp_seconds"
        fleet.wait(lambda: server.counted("celery_task_sent_total", hostname="beat"), "beat has sent something")
        assert 0 <= server.value(late) < PATIENCE
        assert server.value("count(celery_beat_lateness_seconds)") == 1
        if web is not None:
            fleet.start("web")
            for _ in range(3):
                submit(web, "/tasks", ADMIN, "heartbeat.beat")
            counts(3, "sent", name="heartbeat.beat", hostname="web")
        shows(len(ports) + (web is not None), "sum(up)")
        shows(2, "sum(celery_worker_up)")
        shows(1, 'count(celery_worker_process_resident_memory_bytes{hostname="general",process="main"} > 1e7)')
        fleet.stop(*(name for name in fleet.processes if name != "exporter"))
        fleet.stop("exporter")
