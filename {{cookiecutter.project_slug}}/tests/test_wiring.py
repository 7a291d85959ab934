{% from "parts.jinja" import parts with context %}
"""The app is wired to `runtime/`, whose own tests are the template's: what must hold here, in short."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from celery.app.defaults import SETTING_KEYS
from kombu.utils.imports import symbol_by_name

from {{ cookiecutter.package_name }} import config, limits, queues
from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.runtime import context
from {{ cookiecutter.package_name }}.runtime.app import (
    WORKER_STEPS,
)
from {{ cookiecutter.package_name }}.runtime.errors import (
    PermanentError,
    TransientError,
)
from {{ cookiecutter.package_name }}.runtime.letters.store import (
    opened,
)
from {{ cookiecutter.package_name }}.runtime.tasks.base import (
    BaseTask,
)
from {{ cookiecutter.package_name }}.runtime.worker import (
    consumer,
    request,
)
{% if cookiecutter.beat != "none" %}
from {{ cookiecutter.package_name }}.schedule import SCHEDULE
{% endif %}

app.loader.import_default_modules()
OWN = sorted(name for name in app.tasks if not name.startswith("celery."))


@app.task(name="tests.fail_once", max_retries=1, default_retry_delay=0, retry_backoff=False)
def fail_once() -> str:
    if not fail_once.request.retries:
        raise TransientError("once")
    return str(context.current().correlation_id)


@app.task(name="tests.fail")
def fail() -> None:
    raise PermanentError("on purpose")


def test_a_worker_has_the_steps_and_the_consumer_of_the_runtime() -> None:
    assert set(WORKER_STEPS) <= app.steps["worker"]
    assert set(app.broker.consumer_steps) <= app.steps["consumer"]
    assert app.broker.consumer_steps
    assert app.conf.worker_consumer == f"{consumer.__name__}:Consumer"


def test_the_app_has_the_tables_of_the_project() -> None:
    assert app.budget == limits.BUDGET
    assert set(app.amqp.queues) == set(queues.QueueName)
    assert app.conf.task_routes == queues.ROUTES
    assert app.conf.task_queues == tuple(queues.QUEUES)
    parts: list[str] = [{% for _, name, _ in parts %}"{{ name }}"{{ "" if loop.last else ", " }}{% endfor %}]
    assert [type(part).__name__ for part in app.parts] == parts
{% if cookiecutter.beat != "none" %}
    assert SCHEDULE.keys() <= app.conf.beat_schedule.keys()
{% endif %}


@pytest.mark.parametrize("name", OWN)
def test_a_task_has_the_guarantees_of_the_runtime(name: str) -> None:
    task: Any = app.tasks[name]
    assert isinstance(task, BaseTask), f"{name}: leave out base=, or derive yours from BaseTask"
    assert task.acks_late, f"{name} would be lost with its worker: AtMostOnceTask is for that"
    assert issubclass(symbol_by_name(task.Request), request.Request)
    assert symbol_by_name(task.Strategy) is request.strategy


@pytest.mark.parametrize("environment", config.ENVIRONMENTS.values())
def test_every_setting_is_one_that_celery_knows(environment: type[config.Base]) -> None:
    ours = {name for name in environment.model_fields if not name.startswith("redbeat_")}
    # Celery reads one that its own list does not name (celery/backends/redis.py).
    assert ours <= SETTING_KEYS | {"redis_backend_health_check_interval"}


def test_the_example_of_the_environment_names_every_setting(
    request: pytest.FixtureRequest,
) -> None:
    text = (request.config.rootpath / ".env.example").read_text(encoding="utf-8")
    for field, info in config.Base.model_fields.items():
        parts = getattr(info.annotation, "model_fields", None)
        for name in [f"{field}__{part}" for part in parts] if parts else [field]:
            assert f"\n# CELERY_{name.upper()}=" in text


def test_a_transient_error_is_tried_again_with_the_same_correlation_id(
    run: Callable[..., Any], ended: Counter[tuple[str, str]]
) -> None:
    with context.bind(correlation_id="order-7"):
        assert run(fail_once) == ("SUCCESS", "order-7")
    assert ended[fail_once.name, "RETRY"] == 1


{% set store = {"redis": "redis", "sql": "tables", "rabbitmq": "empty_folder"}[cookiecutter.__letters] %}
@pytest.mark.usefixtures("{{ store }}")
def test_what_fails_for_good_is_a_dead_letter(run: Callable[..., Any]) -> None:
    assert run(fail).state == "FAILURE"
    with opened(app) as letters:
        assert [letter.task for letter in letters] == [fail.name]
