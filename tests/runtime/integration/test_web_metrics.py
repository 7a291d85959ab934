"""What Prometheus reads from the web server of the Procfile."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from web_server import open_web

from my_celery_project.runtime.observe import processes
from my_celery_project.runtime.observe.settings import SHORTEST_TOKEN
from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.web import testing  # noqa: F401 - what this is about

pytestmark = pytest.mark.integration

BEAT = {"task": "heartbeat.beat"}
TOKEN = "m" * SHORTEST_TOKEN


def sent(text: str) -> dict[tuple[str, str, str], float]:
    return {
        (labels["name"], labels["hostname"], labels["queue_name"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for labels in [sample.labels]
        if sample.name == "celery_task_sent_total"
    }


def test_all_processes_of_a_web_server_count_as_one(fleet: Fleet, tmp_path: Path) -> None:
    variables = {"APP_METRICS_TOKEN": TOKEN, "WEB_CONCURRENCY": "3"}
    if "uvicorn" in fleet.procfile["web"]:  # which does not fork its processes
        variables[processes.FOLDER] = str(tmp_path / "figures")
    with open_web(fleet, **variables) as web:
        for _ in range(20):
            web.post("/tasks", json=BEAT).raise_for_status()
        allowed = {"Authorization": f"Bearer {TOKEN}"}
        texts = [web.get("/metrics", headers=allowed).raise_for_status().text for _ in range(10)]
        assert [sent(text) for text in texts] == [{(BEAT["task"], "web", "default"): 20}] * 10
        refused = web.get("/metrics")  # an administrator is not Prometheus
        assert refused.status_code == 401
        assert "APP_METRICS_TOKEN" in refused.json()["detail"]


def test_nobody_may_ask_a_web_server_without_a_token(fleet: Fleet) -> None:
    with open_web(fleet) as web:
        assert web.get("/metrics").status_code == 404


def test_a_token_that_somebody_could_guess_is_told_in_one_line(fleet: Fleet) -> None:
    short = "guess"
    with pytest.raises(RuntimeError) as refusal:
        fleet.start("web", APP_METRICS_TOKEN=short)
    error = refusal.value.args[0].splitlines()[-1]
    assert error.startswith(
        "Configuration error: APP_METRICS_TOKEN is wrong: it has 5 characters but needs 32;"
    )
