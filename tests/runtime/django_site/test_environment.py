"""Settings of Django that come from the environment, and settings of Celery among them."""

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import checks
from django.test import override_settings
from host import BROKER, RESULTS

from my_celery_project import config
from my_celery_project.limits import BUDGET
from my_celery_project.runtime.django import environment

SECRET = "a-secret-of-a-production-server-" + "0123456789abcdefghij"

PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": SECRET,
    "APP_API_TOKEN": SECRET[::-1],
    "DATABASE_URL": "postgresql://app:s3cr3t@db.internal/app",
    "ALLOWED_HOSTS": "www.example.com, example.com",
    "CELERY_BROKER_URL": BROKER,
    "CELERY_RESULT_BACKEND": RESULTS,
    "APP_SMTP_HOST": "mail.internal",
    "APP_ARTIFACTS_URL": "memory://",
}


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_celerys_settings_are_those_of_the_app() -> None:
    excluded = {"broker_transport_options", "task_annotations"}
    values = config.load().model_dump(exclude=excluded, exclude_none=True)
    assert values["task_acks_late"] is True
    for name, value in values.items():
        assert getattr(settings, f"CELERY_{name.upper()}") == value


def test_production_uses_its_server_and_tls(production: pytest.MonkeyPatch) -> None:
    production.delitem(sys.modules, settings.SETTINGS_MODULE)
    values = vars(importlib.import_module(settings.SETTINGS_MODULE))
    assert values["DATABASES"]["default"]["HOST"] == "db.internal"
    assert (values["DEBUG"], values["SESSION_COOKIE_SECURE"]) == (False, True)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SECRET_KEY", "", "SECRET_KEY must be a random string"),
        ("SECRET_KEY", "short", "50 characters or more"),
        ("APP_API_TOKEN", "", "APP_API_TOKEN must be a random string"),
        ("APP_ADMIN_TOKEN", "short", "APP_ADMIN_TOKEN has 5 characters but needs 32"),
        ("DATABASE_URL", "", "DATABASE_URL is not set"),
        ("ALLOWED_HOSTS", "", "ALLOWED_HOSTS is not set"),
        ("SECURE_HSTS_SECONDS", "soon", "SECURE_HSTS_SECONDS='soon' is wrong: use a whole number"),
        ("SECRET_KEY_FILE", "/no/such/file", "both set"),
    ],
)
def test_production_refuses_what_is_missing_or_wrong(
    name: str, value: str, expected: str, production: pytest.MonkeyPatch
) -> None:
    production.setenv(name, value)
    with pytest.raises(config.ConfigurationError) as error:
        environment.load()
    assert expected in str(error.value)
    assert "\n" not in str(error.value)
    assert SECRET not in str(error.value)


def test_a_secret_can_come_from_a_file(production: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    production.delenv("SECRET_KEY")
    production.setenv("SECRET_KEY_FILE", str(secret))
    assert environment.load().secret_key == SECRET
    production.setenv("SECRET_KEY_FILE", "/no/such/file")
    with pytest.raises(config.ConfigurationError, match="cannot be read"):
        environment.load()


def test_a_server_without_a_token_of_administrators_has_none(
    production: pytest.MonkeyPatch,
) -> None:
    assert environment.load().admin_token == ""
    production.setenv("APP_ADMIN_TOKEN", SECRET)
    assert environment.load().admin_token == SECRET


def test_words_stand_between_commas(production: pytest.MonkeyPatch) -> None:
    assert environment.load().allowed_hosts == ("www.example.com", "example.com")


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("CELERY_TASK_TIME_LIMIT", 60, "the variable CELERY_TASK_TIME_LIMIT"),
        ("CELERY_BEAT_SCHEDULE", {"mine": {}}, "schedule.py"),
        ("CELERYBEAT_SCHEDULE", {"mine": {}}, "schedule.py"),
        ("CELERY_TASK_ROUTES", {}, "queues.py"),
        ("CELERY_TASK_ALWAYS_EAGER", True, "Set the field task_always_eager"),
        ("CELERYD_CONCURRENCY", 4, "Set the field worker_concurrency"),
        ("CELERY_ACKS_LATE", False, "Set the field task_acks_late"),
        ("BROKER_URL", "redis://host/0", "the variable CELERY_BROKER_URL"),
    ],
)
def test_a_setting_of_celery_in_those_of_django_is_an_error(
    name: str, value: Any, hint: str
) -> None:
    assert checks.run_checks() == []
    with override_settings(**{name: value}):
        errors = checks.run_checks()
    assert [error.level for error in errors] == [checks.ERROR], errors
    assert name in errors[0].msg
    assert hint in str(errors[0].hint)


def test_a_setting_that_is_written_in_the_module_is_found() -> None:
    text = Path(str(sys.modules[settings.SETTINGS_MODULE].__file__)).read_text(encoding="utf-8")
    line = "CELERY_TASK_TIME_LIMIT = 60\n"
    for changed in (text.replace("LANGUAGE_CODE", f"{line}LANGUAGE_CODE"), f"{text}{line}"):
        assert line in changed
        module = types.ModuleType("changed")
        module.__package__ = settings.SETTINGS_MODULE.rpartition(".")[0]
        exec(changed, vars(module))  # noqa: S102
        assert vars(module)["CELERY_TASK_TIME_LIMIT"] == 60
        assert vars(module)["CELERY_TASK_SOFT_TIME_LIMIT"] == BUDGET.soft
