import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from celery import Task, current_app
from celery.bin.beat import beat
from celery.bin.celery import celery
from celery.bin.worker import worker
from host import BROKER, RESULTS, RESULTS_ARE_IN_REDIS

from my_celery_project import config
from my_celery_project.celery import app, create_app
from my_celery_project.limits import BUDGET
from my_celery_project.runtime import __version__
from my_celery_project.runtime.config import (
    InMemory,
    annotations,
    machine,
    read,
)
from my_celery_project.runtime.config.values import (
    RetryPolicy,
)


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "development")


def test_the_string_false_is_false_and_numbers_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_TASK_ACKS_LATE", "false")
    monkeypatch.setenv("CELERY_WORKER_MAX_TASKS_PER_CHILD", "100")
    settings = config.load()
    assert settings.task_acks_late is False
    assert settings.worker_max_tasks_per_child == 100


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("APP_ENV", "prod", "use one of development"),
        ("CELERY_TASK_ACKS_LATE", "maybe", "CELERY_TASK_ACKS_LATE='maybe' is wrong"),
        ("CELERY_TASK_ACK_LATE", "true", "Did you mean CELERY_TASK_ACKS_LATE"),
        ("CELERY_NO_SUCH_THING_AT_ALL", "1", "CELERY_NO_SUCH_THING_AT_ALL is not a known setting"),
        ("CELERY_WORKER_CONCURENCY", "4", "Did you mean CELERY_WORKER_CONCURRENCY"),
        ("CELERY_TASK_SOFT_TIME_LIMIT", "1000", "soft time limit (1000 s) must be below"),
        ("CELERY_TASK_TIME_LIMIT", "1000", "must be below the shutdown grace"),
        ("CELERY_BROKER_TRANSPORT_OPTIONS__SOCKET_TIMOUT", "5", "TIMOUT is not a known option"),
        ("CELERY_TASK_ANNOTATIONS", '{"*": {"rate_limit": "1"}}', "use a value, such as 10/s"),
        ("CELERY_TASK_ANNOTATIONS", '{"*": {"rate": "1/s"}}', "__RATE is not a known option: use"),
        ("CELERY_TASK_ANNOTATIONS", '{"*": {"time_limit": -1}}', "TIME_LIMIT=-1 is wrong"),
        ("CELERY_TASK_ANNOTATIONS", '{"*": {"queue": "blk"}}', "'bulk'"),
        ("CELERY_TASK_ANNOTATIONS", '{"*": {"serializer": "jsno"}}', "'json'"),
        ("CELERY_TASK_ANNOTATIONS", '{"*": {"compression": "zip"}}', "such as zlib"),
        ("CELERY_TASK_ANNOTATIONS", '{"*": {"retry_backoff": 9}}', "BACKOFF is not a known"),
        ("CELERY_BROKER_URL_FILE", "/no/such/file", "cannot be read"),
    ],
)
def test_a_wrong_variable_ends_in_one_line(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(config.ConfigurationError) as error:
        config.load()
    assert expected in str(error.value)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


@pytest.mark.parametrize(
    "name", ["CELERY_WORKER_CONCURRENCY", "CELERY_LOADER", "CELERY_APP", "CELERY_LOG_FILE"]
)
def test_variables_of_celery_itself_are_left_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    config.load()


def test_the_env_file_is_read_and_checked_like_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CELERY_TIMEZONE", "CELERY_TASK_ACKS_LAET"):  # restored after the test
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    env_file = tmp_path / "env"
    env_file.write_text("CELERY_TIMEZONE=Europe/Oslo\n")
    assert config.load(env_file).timezone == "Europe/Oslo"
    env_file.write_text("CELERY_TASK_ACKS_LAET=true\n")
    with pytest.raises(config.ConfigurationError, match="Did you mean CELERY_TASK_ACKS_LATE"):
        config.load(env_file)


@pytest.mark.parametrize("command", [worker, beat])
@pytest.mark.parametrize(
    ("value", "option", "expected"),
    [("", (), "INFO"), ("DEBUG", (), "DEBUG"), ("error", (), "ERROR"), ("", ("-lERROR",), "ERROR")],
)
def test_the_log_level_comes_from_its_variable(
    command: click.Command,
    value: str,
    option: tuple[str, ...],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(f"CELERY_{command.name}_LOGLEVEL".upper(), value)
    config.load()
    parent = click.Context(celery, obj=SimpleNamespace(app=app), auto_envvar_prefix="CELERY")
    context = command.make_context(command.name, list(option), parent=parent)
    assert context.params["loglevel"] == getattr(logging, expected)


def test_a_secret_can_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "broker_url"
    secret.write_text(f"{BROKER}\n")
    monkeypatch.setenv("CELERY_BROKER_URL_FILE", str(secret))
    assert config.load().broker_url == BROKER
    monkeypatch.setenv("CELERY_BROKER_URL", BROKER)
    with pytest.raises(config.ConfigurationError, match="both set"):
        config.load()


@pytest.mark.parametrize("environment", ["staging", "production"])
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "CELERY_BROKER_URL is not set"),
        (BROKER.replace("s3cr3t", "changeme"), "well-known default"),
        ("memory://", "one process only"),
    ],
)
def test_production_refuses_an_unsafe_broker(
    environment: str, url: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", environment)
    monkeypatch.setenv("CELERY_RESULT_BACKEND", RESULTS)
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    with pytest.raises(config.ConfigurationError, match=expected) as error:
        config.load()
    assert "s3cr3t" not in str(error.value)


@pytest.mark.usefixtures("empty_folder")
def test_development_needs_no_server_but_its_own() -> None:
    settings = config.load().for_celery()
    assert settings["broker_url"] == machine.url(machine.QUEUES)
    if {"redis", "rpc"} & {*config.Base.result_schemes}:
        assert settings["result_backend"] == machine.url(machine.RESULTS)
    assert Path(".celery").is_dir()


@pytest.mark.skipif(
    "rpc" not in config.Base.result_schemes, reason="results are not messages of RabbitMQ"
)
@pytest.mark.usefixtures("empty_folder")
def test_results_are_messages_where_the_queues_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", BROKER)
    assert config.load().for_celery()["result_backend"] == "rpc://"


@pytest.mark.usefixtures("empty_folder")
def test_where_the_queues_take_the_place_of_rabbitmq_no_priority_turns_around() -> None:
    options = config.load().for_celery()["broker_transport_options"]
    assert options.get("priority_steps") == (None if BROKER.startswith("redis") else [0])


def test_no_variable_leads_a_test_to_a_real_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "testing")
    monkeypatch.setenv("CELERY_BROKER_URL", BROKER)
    assert config.load().broker_url == "memory://"


def test_a_test_stays_in_memory_whatever_all_environments_share() -> None:
    class Base(config.Base):
        broker_url: str = BROKER

    class Testing(InMemory, Base):
        """The environment of such a project."""

    assert read(Testing).broker_url == "memory://"


def test_an_environment_may_have_a_server_of_its_own() -> None:
    class Development(config.Development):
        broker_url: str = BROKER

    assert read(Development).broker_url == BROKER


def test_one_option_leaves_the_others_as_the_project_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Development(config.Development):
        task_publish_retry_policy: RetryPolicy = RetryPolicy(max_retries=7, interval_max=9)

    monkeypatch.setenv("CELERY_TASK_PUBLISH_RETRY_POLICY__INTERVAL_MAX", "8")
    policy = read(Development).task_publish_retry_policy
    assert (policy.max_retries, policy.interval_max) == (7, 8)


def lease_of(settings: config.Base) -> float:
    """Return what Celery is told."""
    for_celery = settings.for_celery()
    options = for_celery["broker_transport_options"]
    return float(options.get("visibility_timeout") or for_celery["broker_heartbeat"])


def test_the_lease_is_that_of_the_time_budget_until_a_variable_sets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", BROKER)
    settings = config.load()
    assert settings.lease.seconds == BUDGET.lease
    assert lease_of(settings) == BUDGET.lease
    monkeypatch.setenv(settings.lease.setting, "77")
    changed = config.load()
    assert changed.lease == settings.lease._replace(seconds=77)
    assert lease_of(changed) == 77


def test_the_app_is_that_of_every_thread() -> None:
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(lambda: current_app.main).result() == app.main


def test_an_app_can_be_made_from_other_settings() -> None:
    results: dict[str, Any] = {"result_backend": RESULTS} if RESULTS_ARE_IN_REDIS else {}
    other = create_app(config.Base(broker_url=BROKER, **results))
    assert other.conf.task_time_limit == BUDGET.hard


ATTRIBUTES = {
    "rate_limit": "2/m",
    "time_limit": 60.0,
    "soft_time_limit": 50.0,
    "max_retries": 1,
    "default_retry_delay": 2.5,
    "acks_late": False,
    "ignore_result": False,
    "track_started": True,
    "queue": "bulk",
    "priority": 5,
    "expires": 30.0,
    "compression": "zlib",
    "serializer": "json",
}


def test_an_annotation_sets_each_attribute_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"tests.task": ATTRIBUTES, "*": {"max_retries": 7, "acks_late": None}}
    monkeypatch.setenv("CELERY_TASK_ANNOTATIONS", json.dumps(given))
    annotated = create_app(config.load())

    def nothing() -> None: ...

    task, other = (
        annotated.task(name=name, shared=False)(nothing) for name in ("tests.task", "tests.other")
    )
    assert {name: getattr(task, name) for name in ATTRIBUTES} == ATTRIBUTES
    assert (other.max_retries, other.acks_late) == (7, True)
    assert other.time_limit == BUDGET.hard


def test_every_attribute_of_a_task_is_an_annotation_or_takes_a_class() -> None:
    simple = (bool, int, float, str, type(None))
    public = {
        name
        for name, value in vars(Task).items()
        if isinstance(value, simple) and not name.startswith("_")
    }
    internal = {"Request", "Strategy", "abstract", "backend", "name", "request_stack"}
    assert public - internal <= annotations.Annotation.model_fields.keys()


def test_a_limit_for_a_task_wins_over_that_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = '{"*": {"rate_limit": "9/s"}, "tests.slow": {"rate_limit": "2/m"}}'
    monkeypatch.setenv("CELERY_TASK_ANNOTATIONS", limits)
    app = create_app(config.load())

    def limit(name: str) -> str | None:
        @app.task(name=name)
        def nothing() -> None: ...

        allowed: str | None = nothing.rate_limit
        return allowed

    assert limit("tests.slow") == "2/m"
    assert limit("tests.other") == "9/s"


def test_a_report_shows_the_version_of_the_runtime() -> None:
    assert f"runtime:{__version__}" in create_app(config.load()).bugreport()
