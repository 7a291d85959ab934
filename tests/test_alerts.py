"""The alerts of a project: promtool finds them right, and in running fleets each one fires and is told, then ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from redis import Redis

from conftest import Baked, Installed, Running
from prometheus import Prometheus, prometheus, server
from servers import (
    Fleet,
    accepts,
    free_port,
    kill_group,
    memory_limit,
    needed,
    quick_folder,
    rabbitmq_server,
    rabbitmqctl,
    wait_until,
)
from support import run
from test_servers import OFTEN
from variants import Answers, each, pairwise, variant_id

MONITORING = "deploy/monitoring"

#: Variants whose alerts differ.
REDIS: Answers = {}
RABBITMQ: Answers = {"broker": "rabbitmq", "result_backend": "none", "beat": "none"}

PACKAGE = "prometheus-alertmanager"


def alertmanager() -> str:
    """Return the name of Debian's program."""
    return Path(needed(PACKAGE)).name


def rules(project: Path) -> list[dict[str, Any]]:
    """Return the alert rules of a project."""
    (group,) = yaml.safe_load((project / MONITORING / "alerts.yaml").read_text("utf-8"))["groups"]
    result: list[dict[str, Any]] = group["rules"]
    return result


def names(project: Path) -> set[str]:
    """Return the names of its alerts."""
    return {rule["alert"] for rule in rules(project)}


# The files


def check(project: Path) -> None:
    """Let the tools of Prometheus and Alertmanager check the files of a project."""
    folder = project / MONITORING
    run([needed("promtool"), "check", "rules", "--lint-fatal", "alerts.yaml"], folder)
    run([needed("promtool"), "check", "config", "--syntax-only", "--lint-fatal", "prometheus.yaml"], folder)
    run([needed("amtool"), "check-config", "alertmanager.yaml"], folder)


@each([answers for answers in pairwise() if answers["prometheus"]])
def test_the_tools_accept_the_files(answers: Answers, baked: Baked) -> None:
    project = baked(answers)
    check(project)
    manifest = project / "deploy/kubernetes/components/monitoring/rules.yaml"
    assert manifest.exists() == answers["kubernetes"]
    if manifest.exists():
        assert yaml.safe_load(manifest.read_text("utf-8"))["spec"]["groups"][0]["rules"] == rules(project)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("alerts.yaml", "absent(", "absent(("),
        ("alerts.yaml", "for: 5m", "for: soon"),
        ("prometheus.yaml", "scrape_configs:", "scrapes:"),
        ("alertmanager.yaml", "receiver: example", "receiver: nobody"),
    ],
)
def test_the_tools_refuse_a_broken_file(file: str, old: str, new: str, baked: Baked, tmp_path: Path) -> None:
    (tmp_path / MONITORING).mkdir(parents=True)
    for path in (baked(REDIS) / MONITORING).glob("*.yaml"):
        text = path.read_text("utf-8")
        assert path.name != file or old in text
        (tmp_path / MONITORING / path.name).write_text(text.replace(old, new) if path.name == file else text, "utf-8")
    with pytest.raises(AssertionError, match=r"(?i)fail|error|unexpected|not"):
        check(tmp_path)


@pytest.mark.parametrize("answers", [REDIS, RABBITMQ], ids=variant_id)
def test_the_runbook_has_an_entry_for_each_alert(answers: Answers, baked: Baked) -> None:
    project = baked(answers)
    entries = re.findall(r"(?m)^## (Celery\w+)$", (project / "docs" / "runbook.md").read_text("utf-8"))
    assert len(entries) == len(set(entries))
    assert set(entries) == names(project)
    for rule in rules(project):
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"


@pytest.mark.parametrize("answers", [REDIS, RABBITMQ], ids=variant_id)
def test_grafana_knows_every_field_of_the_dashboard(answers: Answers, baked: Baked) -> None:
    given = json.loads((baked(answers) / MONITORING / "grafana" / "dashboard.json").read_text("utf-8"))
    kept = json.loads(JSONEncoder().encode(Dashboard.from_json(given)))
    assert not list(lost(given, kept, "dashboard"))
    given["panels"][1]["targts"] = []
    assert list(lost(given, json.loads(JSONEncoder().encode(Dashboard.from_json(given))), "dashboard"))


def lost(given: Any, kept: Any, path: str) -> Iterator[str]:
    """Yield what Grafana's own classes do not know of a dashboard."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from lost(value, kept.get(key), f"{path}.{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif given != kept:
        yield path


@pytest.mark.parametrize("answers", [REDIS, RABBITMQ], ids=variant_id)
def test_no_panel_covers_another(answers: Answers, baked: Baked) -> None:
    dashboard = json.loads((baked(answers) / MONITORING / "grafana" / "dashboard.json").read_text("utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


# The rules, by promtool

#: A healthy project: figures of an hour, one a minute, as promtool writes them.
HEALTHY = {
    'celery_worker_up{hostname="general"}': "1x60",
    'celery_active_worker_count{hostname="general", queue_name="default"}': "1x60",
    'celery_active_worker_count{hostname="general", queue_name="critical"}': "1x60",
    'celery_queue_length{queue_name="default"}': "0x60",
    'celery_queue_length{queue_name="critical"}': "0x60",
    'celery_queue_oldest_age_seconds{queue_name="default"}': "30x60",
    'celery_queue_oldest_age_seconds{queue_name="critical"}': "30x60",
    'celery_queue_oldest_age_seconds{queue_name="bulk"}': "7200x60",
    'celery_task_queue_wait_time_sum{name="t", queue_name="default"}': "0+60x60",
    'celery_task_queue_wait_time_count{name="t", queue_name="default"}': "0+60x60",
    'celery_task_started_total{name="t", queue_name="default"}': "0+60x60",
    'celery_task_succeeded_total{name="t", queue_name="default"}': "0+60x60",
    'celery_task_failed_total{name="t", queue_name="default", exception="ValueError"}': "0+1x60",
    'celery_task_retried_total{name="t", queue_name="default"}': "0+3x60",
    'celery_task_runtime_bucket{name="t", le="180.0"}': "0+60x60",
    'celery_task_runtime_bucket{name="t", le="240.0"}': "0+60x60",
    'celery_task_runtime_bucket{name="t", le="+Inf"}': "0+60x60",
    'celery_task_time_limit_seconds{hostname="general", name="t"}': "240x60",
    "celery_dead_letters_stored": "5x60",
    'celery_beat_last_tick_timestamp_seconds{hostname="beat"}': "0+60x60",
    'celery_beat_lateness_seconds{hostname="beat"}': "1x60",
    'celery_worker_memory_bytes{hostname="general"}': "100x60",
    'celery_worker_memory_limit_bytes{hostname="general"}': "200x60",
    "celery_broker_up": "1x60",
    "celery_broker_memory_bytes": "10x60",
    "celery_broker_memory_limit_bytes": "100x60",
    "celery_broker_blocked": "0x60",
    'celery_task_publish_errors_total{hostname="web", exception="OperationalError"}': "3x60",
}

UP, ERRORS = 'celery_worker_up{hostname="general"}', list(HEALTHY)[-1]
STARTED, LENGTH = list(HEALTHY)[10], list(HEALTHY)[3]

#: What makes each alert fire, and only that one.
FIRING: list[tuple[str, dict[str, str]]] = [
    ("CeleryNoWorker", {UP: "0x60"}),
    ("CeleryNoWorker", {UP: "1x20"}),
    ("CeleryQueueWithoutWorker", {list(HEALTHY)[2]: "1x20"}),
    ("CeleryNothingConsumed", {LENGTH: "3x60", STARTED: "7x60", list(HEALTHY)[13]: "0x60"}),
    ("CeleryBacklogGrowing", {LENGTH: "200+1x60"}),
    ("CeleryFailureRatio", {list(HEALTHY)[12]: "0+10x60"}),
    ("CeleryRetryStorm", {list(HEALTHY)[13]: "0+40x60"}),
    ("CeleryDeadLettersGrowing", {"celery_dead_letters_stored": "0+1x60"}),
    ("CelerySlowTasks", {list(HEALTHY)[14]: "0+50x60"}),
    ("CeleryWorkerMemory", {list(HEALTHY)[21]: "190x60"}),
    ("CeleryBrokerDown", {"celery_broker_up": "0x60"}),
    ("CeleryBrokerDown", {"celery_broker_up": "1x20"}),
    ("CeleryPublishErrors", {ERRORS: "0+1x60"}),
    ("CeleryPublishErrors", {ERRORS: "_x37 1x10"}),
]

FIRING_ON: dict[str, list[tuple[str, dict[str, str]]]] = {
    "redis": [
        ("CeleryMessagesWaitTooLong", {list(HEALTHY)[5]: "0+60x60"}),
        ("CeleryMessagesWaitTooLong", {list(HEALTHY)[6]: "70x60"}),
        ("CeleryMessagesWaitTooLong", {list(HEALTHY)[7]: "15000x60"}),
        ("CeleryBrokerMemory", {"celery_broker_memory_bytes": "95x60"}),
        ("CeleryBeatSilent", {list(HEALTHY)[19]: "0+60x30 1800x30"}),
        ("CeleryBeatSilent", {list(HEALTHY)[19]: "0+60x20"}),
        ("CeleryBeatLate", {list(HEALTHY)[20]: "1x34 90 1x25"}),
    ],
    "rabbitmq": [
        ("CeleryMessagesWaitTooLong", {list(HEALTHY)[8]: "0+60000x60"}),
        ("CeleryBrokerMemory", {"celery_broker_blocked": "1x60"}),
    ],
}

#: When promtool looks.
MINUTES = "40m"


def named(series: str, job: str) -> str:
    """Return a series with the label by which Prometheus knows the project."""
    name, _, labels = series.partition("{")
    return f'{name}{{job="{job}"{", " + labels if labels else "}"}'


@pytest.mark.parametrize(("broker", "answers"), [("redis", REDIS), ("rabbitmq", RABBITMQ)], ids=("redis", "rabbitmq"))
def test_each_alert_fires_for_what_it_is_about_and_for_nothing_else(
    broker: str, answers: Answers, baked: Baked, tmp_path: Path
) -> None:
    project = baked(answers)
    job = rules(project)[0]["labels"]["job"]
    cases: list[tuple[str, dict[str, str]]] = [("", {}), *FIRING, *FIRING_ON[broker]]
    assert {name for name, _ in cases} == {"", *names(project)}
    tests = [
        {
            "name": f"{number} {name}",
            "interval": "1m",
            "input_series": [
                {"series": named(series, job), "values": values} for series, values in {**HEALTHY, **changed}.items()
            ],
            "promql_expr_test": [
                {
                    "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": MINUTES,
                    "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1}] if name else [],
                }
            ],
        }
        for number, (name, changed) in enumerate(cases)
    ]
    file = tmp_path / "tests.yaml"
    rule_file = str(project / MONITORING / "alerts.yaml")
    for each_one in (tests, [{**tests[1], "input_series": tests[0]["input_series"]}]):
        file.write_text(yaml.safe_dump({"rule_files": [rule_file], "tests": each_one}), "utf-8")
        if each_one is tests:
            run([needed("promtool"), "test", "rules", str(file)], tmp_path)
        else:
            with pytest.raises(AssertionError, match="CeleryNoWorker"):
                run([needed("promtool"), "test", "rules", str(file)], tmp_path)


# The rules, in running fleets


def quick(text: str) -> str:
    """Return rules, or a configuration, whose minutes are seconds and whose ages are a twentieth."""
    text = re.sub(r"\b(\d+)m\b", r"\1s", text)
    return re.sub(r"(?<=> )(60|900|14400)\b", lambda found: str(int(found[0]) // 20), text)


class Told:
    """What the project's example of a receiver has printed.

    Args:
        log: Its file.
    """

    def __init__(self, log: Path) -> None:
        self.log = log

    def __call__(self, state: str, name: str) -> bool:
        """Whether it was told that an alert fires, or that it is resolved."""
        return f"  {state}: {name}: " in self.log.read_text("utf-8")


class Alarms:
    """The alerts of a running fleet.

    Args:
        fleet: The fleet.
        prometheus: What watches it.
        told: Whom Alertmanager tells.
    """

    def __init__(self, fleet: Fleet, prometheus: Prometheus, told: Told) -> None:
        self.fleet, self.prometheus, self.told = fleet, prometheus, told
        self.seen: set[str] = set()

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        alerts = self.prometheus.get("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def fire(self, *names: str) -> None:
        """Wait until alerts fire, and until somebody is told unless that follows from another alert."""
        for name in names:
            self.fleet.wait(lambda name=name: name in self.firing(), f"{name} fires")  # type: ignore[misc]
        self.seen.update(names)
        for name in names:
            if name not in INHIBITED or "CeleryNoWorker" not in names:
                self.fleet.wait(partial(self.told, "firing", name), f"somebody is told that {name} fires")

    def end(self, *names: str) -> None:
        """Wait until alerts are over."""
        for name in names:
            self.fleet.wait(lambda name=name: name not in self.firing(), f"{name} is over")  # type: ignore[misc]


#: What follows from CeleryNoWorker, so that nobody is told besides.
INHIBITED = {
    "CeleryQueueWithoutWorker",
    "CeleryNothingConsumed",
    "CeleryBacklogGrowing",
    "CeleryMessagesWaitTooLong",
}


@contextmanager
def watched(fleet: Fleet, ports: Mapping[str, int], folder: Path) -> Iterator[Alarms]:
    """Run Prometheus, Alertmanager and the example of a receiver with the project's files, but quicker."""
    project = fleet.project.folder
    place, listening = free_port(), free_port()
    (folder / "alerts.yaml").write_text(quick((project / MONITORING / "alerts.yaml").read_text("utf-8")), "utf-8")
    text = quick((project / MONITORING / "alertmanager.yaml").read_text("utf-8"))
    text = text.replace("http://receiver:9094", f"http://127.0.0.1:{listening}").replace("30s", "3s")
    (folder / "alertmanager.yaml").write_text(text, "utf-8")
    code = (project / MONITORING / "receiver.py").read_text("utf-8")
    assert '"0.0.0.0", 9094' in code
    code = code.replace('"0.0.0.0", 9094', f'"127.0.0.1", {listening}')
    log = folder / "receiver.log"
    with log.open("wb") as output:
        receiver = subprocess.Popen([sys.executable, "-c", code], stdout=output, start_new_session=True)
    try:
        wait_until(partial(accepts, listening), "the receiver listens")
        options = {
            "config_file": folder / "alertmanager.yaml",
            "storage_path": folder / "data",
            "cluster_listen__address": "",
        }
        with server(alertmanager(), folder, place, **options), prometheus(project, folder, ports, None, place) as asked:
            yield Alarms(fleet, asked, Told(log))
    finally:
        kill_group(receiver.pid)
        receiver.wait()


def start(fleet: Fleet, ports: Mapping[str, int], *names: str) -> None:
    """Start processes that offer metrics."""
    for name in names:
        line = f"celery -A {fleet.project.package} exporter" if name == "exporter" else ""
        fleet.start(name, line=line, APP_METRICS_PORT=str(ports[name]))


def test_each_alert_fires_and_is_told_and_ends(running: Running, tmp_path: Path) -> None:
    variables = {"CELERY_TASK_SOFT_TIME_LIMIT": "2"}
    with running(REDIS, *OFTEN, **variables) as fleet, Redis.from_url(fleet.variables["CELERY_BROKER_URL"]) as redis:
        fleet_names = [*fleet.project.lines]
        ports = {name: free_port() for name in (*fleet_names, "exporter", "limited")}
        start(fleet, ports, "exporter")
        with watched(fleet, ports, tmp_path) as alarms:
            nobody_works(fleet, alarms)
            start(fleet, ports, *fleet_names)
            alarms.end(*alarms.seen)
            tasks_go_wrong(fleet, alarms)
            beat_stands_still(fleet, alarms)
            a_worker_is_short_of_memory(fleet, ports, alarms)
            the_broker_is_short_of_memory(redis, alarms)
            the_broker_lets_nobody_in(redis, alarms)
            alarms.end(*alarms.seen)
            assert alarms.seen == names(fleet.project.folder)
            for name in alarms.seen - INHIBITED:
                fleet.wait(partial(alarms.told, "resolved", name), f"somebody is told that {name} is over")
            every_panel_shows_something(fleet.project.folder, alarms.prometheus, allowed={"Guards"})
            the_published_dashboards_find_their_series(alarms.prometheus)
            the_commands_of_the_runbook_work(fleet)


def nobody_works(fleet: Fleet, alarms: Alarms) -> None:
    """Let more and more tasks wait, while nothing but the exporter runs."""
    fleet.ask("send_many", 120, "probe.step", (), {}, {})
    fleet.send("probe.step", options={"queue": "critical"})

    def grows() -> bool:
        fleet.send("probe.step")
        return "CeleryBacklogGrowing" in alarms.firing()

    fleet.wait(grows, "CeleryBacklogGrowing fires")
    alarms.fire("CeleryNoWorker", "CeleryBeatSilent", *INHIBITED)
    # One notification for both, and no word of what follows from one of them.
    told = [set(re.findall(r"firing: (\w+)", one)) for one in alarms.told.log.read_text("utf-8").split("notification:")]
    assert {"CeleryNoWorker", "CeleryBeatSilent"} in told
    assert not any(alarms.told("firing", name) for name in INHIBITED)


def tasks_go_wrong(fleet: Fleet, alarms: Alarms) -> None:
    """Let tasks fail, be tried again and again, and take too long."""
    # A rate needs series that Prometheus has seen before.
    fleet.ends(fleet.send("probe.fail"), fleet.send("probe.try_again"))
    for series in ('celery_task_failed_total{name="probe.fail"}', 'celery_task_retried_total{name="probe.try_again"}'):
        fleet.wait(partial(alarms.prometheus.value, series), f"Prometheus has seen {series}")
    alarms.fire("CeleryDeadLettersGrowing")
    fleet.ask("send_many", 30, "probe.fail", (), {}, {})
    fleet.ask("send_many", 20, "probe.try_again", (), {"times": 3}, {})
    alarms.fire("CeleryFailureRatio", "CeleryRetryStorm")
    # So many that the last ones end when the rates have seen the first.
    fleet.ask("send_many", 32, "probe.sleep", (1.8,), {}, {})
    alarms.fire("CelerySlowTasks")
    alarms.end("CeleryDeadLettersGrowing", "CeleryFailureRatio", "CeleryRetryStorm", "CelerySlowTasks")


def beat_stands_still(fleet: Fleet, alarms: Alarms) -> None:
    """Stop beat for longer than it may be late."""
    os.killpg(fleet.processes["beat"].pid, signal.SIGSTOP)
    try:
        time.sleep(11)
    finally:
        os.killpg(fleet.processes["beat"].pid, signal.SIGCONT)
    alarms.fire("CeleryBeatLate")
    alarms.end("CeleryBeatLate", "CeleryBeatSilent")


def a_worker_is_short_of_memory(fleet: Fleet, ports: Mapping[str, int], alarms: Alarms) -> None:
    """Give a worker little more memory than it has."""
    with memory_limit(600) as limited:
        (group,) = re.findall(r"> (\S+)/cgroup.procs", limited)
        file = next(path for path in map(Path(group).joinpath, LIMIT_FILES) if path.exists())
        worker = fleet.project.lines["general"].replace("general@", "limited@")
        worker = re.sub(r"--concurrency \S+", "--concurrency 1", worker)
        fleet.start("limited", line=f"{limited} {worker}", APP_METRICS_PORT=str(ports["limited"]))
        used = 'celery_worker_memory_bytes{hostname="limited"}'
        fleet.wait(lambda: alarms.prometheus.value(used), "the worker says how much it uses")
        before = file.read_text("utf-8")
        file.write_text(str(int(alarms.prometheus.value(used) / 0.95)), "utf-8")
        try:
            alarms.fire("CeleryWorkerMemory")
        finally:
            file.write_text(before, "utf-8")
        alarms.end("CeleryWorkerMemory")
        fleet.stop("limited")


#: Where a control group has its limit, in either version.
LIMIT_FILES = ("memory.limit_in_bytes", "memory.max")


def the_broker_is_short_of_memory(redis: Redis, alarms: Alarms) -> None:
    """Let Redis use no more memory than it does, so that beat can send nothing."""
    redis.config_set("maxmemory", redis.info("memory")["used_memory"])
    try:
        alarms.fire("CeleryBrokerMemory", "CeleryPublishErrors")
    finally:
        redis.config_set("maxmemory", "1gb")
    alarms.end("CeleryBrokerMemory", "CeleryPublishErrors")


def the_broker_lets_nobody_in(redis: Redis, alarms: Alarms) -> None:
    """Let Redis want a password that nobody has."""
    redis.config_set("requirepass", "unknown")
    try:
        alarms.fire("CeleryBrokerDown")
    finally:
        redis.config_set("requirepass", "")
    alarms.end("CeleryBrokerDown")


def every_panel_shows_something(project: Path, server: Prometheus, allowed: set[str]) -> None:
    """Ask the queries of the dashboard."""
    dashboard = json.loads((project / MONITORING / "grafana" / "dashboard.json").read_text("utf-8"))
    values = {"$job": server.job, "$task": ".*", "$__rate_interval": "1h"}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for variable, value in values.items():
                query = query.replace(variable, value)
            assert "$" not in query
            found = server.ask(query)
            assert found or panel["title"] in allowed, f"{panel['title']}: {query}"


#: What the queries of the published dashboards 17508 (tasks by task) and 17509 (overview) ask for: names and labels, as
#: https://github.com/danihodovic/celery-exporter/tree/master/celery-mixin/dashboards_out has them.
PUBLISHED = {
    "celery_worker_up": set(),
    "celery_worker_tasks_active": set(),
    "celery_queue_length": {"queue_name"},
    **{
        f"celery_task_{event}_total": {"name", "queue_name"}
        for event in ("sent", "received", "succeeded", "retried", "revoked", "rejected")
    },
    "celery_task_failed_total": {"name", "queue_name", "exception"},
    "celery_task_runtime_bucket": {"name", "queue_name", "le"},
    "celery_task_runtime_sum": {"name", "queue_name"},
    "celery_task_runtime_count": {"name", "queue_name"},
}


def the_published_dashboards_find_their_series(server: Prometheus) -> None:
    """Look for every series that their queries name, with the labels by which they select and group."""
    for name, labels in PUBLISHED.items():
        found = server.get("series", **{"match[]": f'{name}{{job="{server.job}"}}'})
        assert found, name
        for series in found:
            assert labels <= series.keys(), name
            assert series.get("queue_name") != "None"  # which the queries leave out


def the_commands_of_the_runbook_work(fleet: Fleet) -> None:
    """Run all commands of the project's own that the runbook has."""
    text = (fleet.project.folder / "docs" / "runbook.md").read_text("utf-8")
    commands = re.findall(r"(?m)^\.venv/bin/(celery .+?)(?:  +#.*)?$", text)
    assert len(commands) > 8
    for command in commands:
        program, *words = command.split()
        run([str(fleet.project.environment / "bin" / program), *words], fleet.cwd, **fleet.variables)


def urgent_tasks_wait(fleet: Fleet, alarms: Alarms) -> None:
    """Stop the worker of urgent tasks for a while, until the alert has fired."""
    counted = 'celery_task_queue_wait_time_count{queue_name="critical"}'
    fleet.ends(fleet.send("probe.step", options={"queue": "critical"}))
    fleet.wait(lambda: alarms.prometheus.value(counted), "the first one is counted")
    group = fleet.processes["critical"].pid

    def waits() -> bool:
        os.killpg(group, signal.SIGSTOP)
        try:
            for _ in range(5):
                fleet.send("probe.step", options={"queue": "critical"})
            time.sleep(4)
        finally:
            os.killpg(group, signal.SIGCONT)
        # On a busy machine the pause may be longer than what the rule looks at.
        end = time.monotonic() + 12
        while time.monotonic() < end and not (fires := "CeleryMessagesWaitTooLong" in alarms.firing()):
            time.sleep(0.2)
        return fires

    fleet.wait(waits, "CeleryMessagesWaitTooLong fires")


def test_alerts_about_rabbitmq_fire_and_end(installed: Installed, tmp_path: Path) -> None:
    needed("rabbitmq-server")
    project = installed(RABBITMQ)
    with quick_folder() as folder, rabbitmq_server(folder, project.folder / "deploy" / "rabbitmq.conf") as url:
        fleet = Fleet(project, tmp_path, "", CELERY_BROKER_URL=url)
        ports = {name: free_port() for name in (*project.lines, "exporter")}
        try:
            with watched(fleet, ports, tmp_path) as alarms:
                start(fleet, ports, *project.lines, "exporter")
                urgent_tasks_wait(fleet, alarms)
                alarms.fire("CeleryMessagesWaitTooLong")
                rabbitmqctl(folder, "set_vm_memory_high_watermark", "0.00001")
                alarms.fire("CeleryBrokerMemory")
                rabbitmqctl(folder, "set_vm_memory_high_watermark", "0.4")
                alarms.end("CeleryMessagesWaitTooLong", "CeleryBrokerMemory")
                fleet.ends(fleet.send("probe.fail"))
                fleet.wait(
                    lambda: alarms.prometheus.ask("rate(celery_task_failed_total[1h])"), "the failure is counted"
                )
                empty = {"Guards", "Tasks sent, and errors while sending"}
                every_panel_shows_something(project.folder, alarms.prometheus, empty)
                the_commands_of_the_runbook_work(fleet)
        finally:
            fleet.close()
