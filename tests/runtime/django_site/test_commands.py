"""Commands of `celery` work in `manage.py` too, and the admin opens."""

import time
from collections.abc import Callable
from typing import Any

import click
import pytest
from django.contrib import admin
from django.core.management import BaseCommand, call_command, load_command_class
from django.test import Client
from django.urls import reverse

from my_celery_project.celery import app
from my_celery_project.runtime import errors
from my_celery_project.runtime.django import part  # noqa: F401 - what this is about
from my_celery_project.runtime.tasks import base


@app.task(base=base.BaseTask, name="tests.refuse")
def refuse(reason: str) -> None:
    raise errors.PermanentError(reason)


def command() -> BaseCommand:
    """Return what `manage.py dead_letters` runs."""
    return load_command_class(f"{app.main}.runtime.django", "dead_letters")


def test_a_dead_letter_is_listed_and_replayed(
    run: Callable[..., Any], capsys: pytest.CaptureFixture[str], store: None
) -> None:
    assert run(refuse, "for a reason").state == "FAILURE"
    deadline = time.monotonic() + 10
    while "for a reason" not in capsys.readouterr().out:  # written after the end of the task
        assert time.monotonic() < deadline
        call_command("dead_letters", "list", "--json")
    with pytest.raises(SystemExit):
        command().run_from_argv(["manage.py", "dead_letters", "replay", "--all", "--dry-run"])
    assert "1 would be replayed" in capsys.readouterr().out


def test_the_help_and_the_errors_are_those_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        command().run_from_argv(["manage.py", "dead_letters", "--help"])
    assert "manage.py dead_letters" in capsys.readouterr().out
    with pytest.raises(click.UsageError):
        call_command("dead_letters", "no-such-command")


@pytest.mark.django_db
def test_every_page_of_the_admin_opens(admin_client: Client) -> None:
    names = [f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry]
    assert "jobs_job" in names
    for name in names:
        assert admin_client.get(reverse(f"admin:{name}_changelist")).status_code == 200
        if name == "jobs_deadletter":
            continue  # there is no page that adds one
        added = admin_client.get(reverse(f"admin:{name}_add")).status_code
        assert added == (403 if name == "jobs_job" else 200)
