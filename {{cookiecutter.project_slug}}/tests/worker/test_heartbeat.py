import socket
from collections.abc import Callable
from typing import Any

from {{ cookiecutter.package_name }}.tasks import heartbeat


def test_the_heartbeat_names_its_worker(run: Callable[..., Any]) -> None:
    assert run(heartbeat.beat) == ("SUCCESS", socket.gethostname())
