import asyncio
import importlib
import re
import subprocess
import sys
import types
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.test import AsyncRequestFactory, RequestFactory, override_settings

from {{ cookiecutter.package_name }} import config
from {{ cookiecutter.package_name }}.limits import BUDGET
from {{ cookiecutter.package_name }}.runtime.django import (
    environment,
)
from {{ cookiecutter.package_name }}.site import asgi, wsgi

SECRET = "a-secret-of-a-production-server-" + "0123456789abcdefghij"

PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": SECRET,
    "APP_API_TOKEN": SECRET[::-1],
    "DATABASE_URL": "postgresql://app:s3cr3t@db.internal/app",
    "ALLOWED_HOSTS": "www.example.com, example.com",
    "CELERY_BROKER_URL": "{{ cookiecutter._brokers[cookiecutter.broker].url }}",
{% if cookiecutter.result_backend == "redis" %}
    "CELERY_RESULT_BACKEND": "redis://:s3cr3t@redis.internal/1",
{% endif %}
{% if cookiecutter.__examples %}
    "APP_SMTP_HOST": "mail.internal",
    "APP_ARTIFACTS_URL": "memory://",
{% endif %}
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


def test_production_passes_the_checks_of_django(production: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "django", "check", "--deploy", "--fail-level", "WARNING"]
    production.setenv("DJANGO_SETTINGS_MODULE", settings.SETTINGS_MODULE)
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
    assert "silenced" not in done.stdout.replace("(0 silenced)", "")


@pytest.mark.django_db  # a request closes connections that are old
def test_both_applications_answer() -> None:
    environ = RequestFactory().get("/health/live").environ
    statuses: list[str] = []

    def start_response(status: str, *_: Any) -> Any:
        statuses.append(status)

    wsgi.application(environ, start_response)
    answers: list[Any] = []
    body = asyncio.Queue[Any]()
    body.put_nowait({"type": "http.request"})  # and nobody disconnects

    async def send(message: Any) -> None:
        answers.append(message)

    request = AsyncRequestFactory().get("/health/live")
    asyncio.run(asgi.application(dict(request.scope), body.get, send))
    assert (statuses, answers[0]["status"]) == (["200 OK"], 200)


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


def test_the_example_env_file_names_every_variable(request: pytest.FixtureRequest) -> None:
    text = (request.config.rootpath / ".env.example").read_text(encoding="utf-8")
    for name in environment.Environment.model_fields:
        assert re.search(rf"(?m)^(# )?{name.upper()}=", text)


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    out = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=out)
    assert "No changes detected" in out.getvalue()


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
