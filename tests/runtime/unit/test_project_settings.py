import pytest
from celery.signals import worker_init

from my_celery_project.runtime.config import (
    ConfigurationError,
    ProjectSettings,
    reader,
)


class Own(ProjectSettings):
    needed_on_servers = ("own_key", "own_host")

    own_host: str = "127.0.0.1"
    own_key: str = ""


def test_a_server_needs_what_has_no_default_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = reader(Own)
    assert settings().own_host == "127.0.0.1"
    monkeypatch.setenv("APP_ENV", "staging")
    assert settings().env == "testing"  # read once
    settings.cache_clear()
    with pytest.raises(ConfigurationError, match="APP_ENV=staging: APP_OWN_HOST, APP_OWN_KEY"):
        settings()
    monkeypatch.setenv("APP_OWN_HOST", "host.internal")
    monkeypatch.setenv("APP_OWN_KEY", "key")
    assert settings().own_host == "host.internal"


def test_a_worker_that_has_wrong_settings_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_init, "receivers", [])
    reader(Own)
    worker_init.send(sender=None)
    monkeypatch.setenv("APP_ENV", "production")
    with pytest.raises(ConfigurationError, match="APP_ENV=production: APP_OWN_HOST"):
        worker_init.send(sender=None)
