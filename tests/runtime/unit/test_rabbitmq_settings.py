"""The settings that reach the broker."""

import pytest
from host import RESULTS

from my_celery_project import config
from my_celery_project.runtime.rabbitmq import broker  # noqa: F401 - what this is about


@pytest.fixture(autouse=True)
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", RESULTS)


@pytest.mark.parametrize("scheme", ["amqp", "amqps", "pyamqp"])
def test_a_rabbitmq_is_taken(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", f"{scheme}://app:s3cr3t@rabbitmq.internal/app")
    settings = config.load().for_celery()
    assert settings["broker_url"].startswith(scheme)
    assert settings["broker_transport_options"] == {"confirm_publish": True}


def test_a_foreign_broker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://:s3cr3t@redis.internal/0")
    with pytest.raises(config.ConfigurationError, match="use amqp://") as error:
        config.load()
    assert "s3cr3t" not in str(error.value)


def test_a_heartbeat_that_keeps_workers_from_stopping_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://app:s3cr3t@rabbitmq.internal/app")
    monkeypatch.setenv("CELERY_BROKER_HEARTBEAT", "3")
    with pytest.raises(config.ConfigurationError, match="CELERY_BROKER_HEARTBEAT='3' is wrong"):
        config.load()
    monkeypatch.setenv("CELERY_BROKER_HEARTBEAT", "4")
    assert config.load().for_celery()["broker_heartbeat"] == 4
