"""Real servers for a test run: those that a variable names, or ones that the tests start."""

import os
import shutil
{% if cookiecutter.broker == "rabbitmq" %}
import signal
{% endif %}
import socket
import subprocess
import time
{% if cookiecutter.broker == "redis" %}
import uuid
{% endif %}
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
{% if cookiecutter.broker == "rabbitmq" %}
from kombu import Connection, Queue
from kombu.transport.native_delayed_delivery import MAX_LEVEL, level_name

from {{ cookiecutter.package_name }} import queues
from {{ cookiecutter.package_name }}.runtime.rabbitmq.queues import (
    DEAD_LETTERS,
)
from {{ cookiecutter.package_name }}.runtime.rabbitmq.topology import (
    declare,
)
{% endif %}

ROOT = Path(__file__).parents[2]


def wait_until(condition: Callable[[], object], timeout: float = 30) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


def needed(program: str) -> str:
    """Return the path of a program; without it, skip the test, or fail it in CI."""
    # Debian keeps a server that any user may start away from the PATH.
    path = shutil.which(program, path=f"/usr/lib/rabbitmq/bin:{os.environ['PATH']}")
    if path is None:
        reason = f"{program} is not installed, and no variable names a server"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def free_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether a server listens on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
{% if "redis" in (cookiecutter.broker, cookiecutter.result_backend) %}
{% include "tests/redis_server.py" %}
{% endif %}
{% if cookiecutter.broker == "rabbitmq" %}
{% include "tests/rabbitmq_server.py" %}
{% endif %}
{% include "brokers/" ~ cookiecutter.broker ~ "/isolated.py" %}
