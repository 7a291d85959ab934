import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.tasks import heartbeat
from {{ cookiecutter.package_name }}.web import catalog

BEAT = {"task": heartbeat.beat.name}


def test_a_client_sees_what_it_may_send(web: httpx.Client) -> None:
    tasks = web.get("/tasks").json()["tasks"]
    assert {task["task"] for task in tasks} == set(catalog.ALLOWED)
    (beat,) = (task for task in tasks if task["task"] == heartbeat.beat.name)
    assert beat["arguments"]["additionalProperties"] is False


def test_every_task_that_may_be_sent_takes_the_arguments_of_the_table() -> None:
    app.loader.import_default_modules()
    for name, model in catalog.ALLOWED.items():
        parameters = inspect.signature(app.tasks[name].run).parameters
        assert set(model.model_fields) <= set(parameters), name


def test_a_task_is_accepted_and_runs(
    web: httpx.Client,
    worker: None,
    ended: Counter[tuple[str, str]],
    eventually: Callable[..., Any],
) -> None:
    answer = web.post("/tasks", json=BEAT)
    assert answer.status_code == 202
{% if cookiecutter.__results %}
    assert answer.headers["Location"] == f"/tasks/{answer.json()['id']}"
{% endif %}
    eventually(lambda: ended[heartbeat.beat.name, "SUCCESS"])
