"""Clients of the web application, which runs on a real HTTP server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..testing import Project
from . import settings

#: Seconds that a request, or a state that is waited for, may take.
PATIENCE = 20

#: Folders of the runtime that can serve an application, of which a project has one.
FRAMEWORKS = ("fastapi", "flask")

ADMIN_TOKEN = "administrator-" * 3

#: How many event streams the application holds open.
MOST_STREAMS = 4


@pytest.fixture(scope="session")
def url(project: Project) -> Iterator[str]:
    """Serve the web application, by what its framework has for that, and yield the URL."""
    if project.web is None:
        pytest.fail("the fixture `project` names no web application")
    application = project.web
    runtime = Path(__file__).parents[1]
    framework = next(name for name in FRAMEWORKS if (runtime / name / "testing.py").is_file())
    serve = import_module(f"..{framework}.testing", __package__).serve
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APP_ADMIN_TOKEN", ADMIN_TOKEN)
        patch.setenv("APP_WEB_STREAMS", str(MOST_STREAMS))
        settings.settings.cache_clear()
        with serve(application()) as url:
            yield url
    settings.settings.cache_clear()


@pytest.fixture
def web(url: str) -> Iterator[httpx.Client]:
    """Yield a client of the web application."""
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
            if time.monotonic() > deadline:
                pytest.fail("timed out")
            time.sleep(0.02)
        return answer

    return ask
