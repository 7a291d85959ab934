"""The settings that reach the broker."""

import os
import subprocess
import sys

import pytest
from host import RESULTS

from my_celery_project import config
from my_celery_project.runtime.redis import broker  # noqa: F401 - what this is about


@pytest.fixture(autouse=True)
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", RESULTS)


def test_a_part_of_the_transport_options_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://:s3cr3t@redis.internal/0")
    monkeypatch.setenv("CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT", "400")
    options = config.load().for_celery()["broker_transport_options"]
    assert options["visibility_timeout"] == 400
    assert options["queue_order_strategy"] == "priority"


def test_a_new_process_talks_to_redis_by_the_transport_that_loses_nothing() -> None:
    script = f"from {config.__package__}.celery import app; print(app.connection().transport)"
    url = "redis://:s3cr3t@redis.internal:6379/0"
    environment = {**os.environ, "APP_ENV": "development", "CELERY_BROKER_URL": url}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"{config.__package__}.runtime.redis.transport.Transport" in done.stdout


def test_a_verified_connection_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "rediss://:s3cr3t@redis.internal/0?ssl_cert_reqs=required"
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    assert config.load().broker_url == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rediss://:s3cr3t@redis.internal/0", "ssl_cert_reqs=required"),
        ("rediss://:s3cr3t@redis.internal/0?ssl_cert_reqs=none", "ssl_cert_reqs=required"),
        ("amqp://app:s3cr3t@rabbitmq.internal//", "use redis://"),
    ],
)
def test_an_unsafe_or_foreign_broker_is_refused(
    url: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    with pytest.raises(config.ConfigurationError, match=expected) as error:
        config.load()
    assert "s3cr3t" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    ["redis+socket:///run/redis.sock?virtual_host=0", "sentinel://a:26379/0;sentinel://b:26379/0"],
)
def test_a_socket_and_sentinels_are_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    monkeypatch.setenv("CELERY_BROKER_TRANSPORT_OPTIONS__MASTER_NAME", "main")
    monkeypatch.setenv("CELERY_BROKER_TRANSPORT_OPTIONS__SENTINEL_KWARGS__PASSWORD", "s3cr3t")
    settings = config.load()
    assert settings.for_celery()["broker_url"] == url
    options = settings.for_celery()["broker_transport_options"]["sentinel_kwargs"]
    assert options == {"socket_timeout": 2.5, "socket_connect_timeout": 2, "password": "s3cr3t"}
    assert "s3cr3t" not in repr(settings)


def test_sentinels_without_the_name_of_a_master_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "sentinel://:s3cr3t@a:26379/0")
    with pytest.raises(config.ConfigurationError, match="MASTER_NAME is not set") as error:
        config.load()
    assert "s3cr3t" not in str(error.value)
