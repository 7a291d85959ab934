"""The web app on a real HTTP server, and a real worker behind it."""

import os
{{ "import socket\n" if cookiecutter.framework == "fastapi" }}import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
{% include "frameworks/" ~ cookiecutter.framework ~ "/tests/imports.py" ignore missing %}

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.runtime import errors
from {{ cookiecutter.package_name }}.runtime.tasks import base
from {{ cookiecutter.package_name }}.runtime.web import settings
from {{ cookiecutter.package_name }}.runtime.web.catalogue import (
    Arguments,
)
from {{ cookiecutter.package_name }}.web import catalog
from {{ cookiecutter.package_name }}.web.app import create_app

os.environ["APP_ADMIN_TOKEN"] = "administrator-" * 3

PATIENCE = 20


@app.task(base=base.BaseTask, name="tests.needs")
def needs(path: str) -> str:
    """Return the content of a file, or fail."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise errors.PermanentError(f"no {path}") from error


class PathArguments(Arguments):
    """Arguments of the task above."""

    path: str
{% include "frameworks/" ~ cookiecutter.framework ~ "/tests/serve.py" ignore missing %}


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Serve the app and yield its URL."""
    with serve() as url:
        yield url


@pytest.fixture
def web(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """Yield a client of the app, which may send one task more."""
    monkeypatch.setitem(catalog.ALLOWED, needs.name, PathArguments)
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def admin(web: httpx.Client) -> httpx.Client:
    """Return a client that is an administrator."""
    web.headers["Authorization"] = f"Bearer {settings.settings().token()}"
    return web


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Return a function that asks until an answer is true, and returns it."""

    def ask(question: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not (answer := question()):
            assert time.monotonic() < deadline, "timed out"
            time.sleep(0.02)
        return answer

    return ask
