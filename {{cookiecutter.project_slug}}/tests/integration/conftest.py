"""Servers and workers that the integration tests share."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from fleet import Fleet, open_fleet
{% if cookiecutter.broker == "redis" %}
from servers import redis_server
{% elif cookiecutter.result_backend == "redis" %}
from servers import rabbitmq_server, redis_server
{% else %}
from servers import rabbitmq_server
{% endif %}


@pytest.fixture(scope="session")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Yield the URLs of real servers, as settings."""
    with ExitStack() as stack:

        def url(variable: str, server: Callable[[Path], AbstractContextManager[str]]) -> str:
            given = os.environ.get(variable)
            return given or stack.enter_context(server(tmp_path_factory.mktemp("server")))

        urls = {"broker_url": url("TEST_BROKER_URL", {{ cookiecutter.broker }}_server)}
{% if cookiecutter.result_backend == "redis" %}
        urls["result_backend"] = {{ 'urls["broker_url"]' if cookiecutter.broker == "redis" else 'url("TEST_RESULT_BACKEND", redis_server)' }}
{% endif %}
        yield urls


@pytest.fixture
def fleet(urls: dict[str, str], empty_folder: None) -> Iterator[Fleet]:
    """Yield workers that are not started yet."""
    with open_fleet(urls, Path.cwd()) as fleet:
        yield fleet
