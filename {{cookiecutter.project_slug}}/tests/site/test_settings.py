import asyncio
import re
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import AsyncRequestFactory, RequestFactory

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


def test_the_example_env_file_names_every_variable(request: pytest.FixtureRequest) -> None:
    text = (request.config.rootpath / ".env.example").read_text(encoding="utf-8")
    for name in environment.Environment.model_fields:
        assert re.search(rf"(?m)^(# )?{name.upper()}=", text)


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    out = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=out)
    assert "No changes detected" in out.getvalue()
