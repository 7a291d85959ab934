import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from my_celery_project.runtime import resources
from my_celery_project.runtime.resources import (
    PerProcess,
)


class Connection:
    """Something that must be closed once."""

    def __init__(self) -> None:
        time.sleep(0.05)
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_the_threads_of_a_process_share_one() -> None:
    resource = PerProcess(Connection, Connection.close)
    barrier = threading.Barrier(8)

    def use() -> Connection:
        barrier.wait(10)
        return resource()

    with ThreadPoolExecutor(8) as threads:
        used = [future.result() for future in [threads.submit(use) for _ in range(8)]]
    assert len(set(used)) == 1


def test_it_is_closed_once_and_opened_again_when_needed() -> None:
    resource = PerProcess(Connection, Connection.close)
    first = resource()
    resources.close_all()
    resources.close_all()
    assert first.closed == 1
    assert resource() is not first


def test_one_that_cannot_be_closed_does_not_keep_the_others_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fine = PerProcess(Connection, Connection.close)
    broken = PerProcess(Connection, lambda _: 1 / 0)
    opened = fine()
    broken()
    with caplog.at_level(logging.ERROR):
        resources.close_all()
    assert opened.closed == 1
    assert "ZeroDivisionError" in caplog.text


FORK = """
import os, socket, sys
from my_celery_project.runtime.resources import (
    PerProcess,
)


class Polite(socket.socket):
    def __del__(self):
        self.sendall(b"bye")


def connect_to(server):
    polite = Polite()
    polite.connect(server.getsockname())
    return polite


server = socket.create_server(("127.0.0.1", 0))
connect = PerProcess(lambda: connect_to(server), socket.socket.close)
parents = connect().getsockname()
connect._lock.acquire()  # as another thread may at the moment of the fork
if not os.fork():
    os._exit(0 if connect().getsockname() != parents else 1)
_, status = os.wait()
connect._lock.release()
connect().sendall(b"alive")
print(status, connect().getsockname() == parents, server.accept()[0].recv(10), flush=True)
os._exit(0)
"""


def test_a_child_opens_its_own_and_leaves_that_of_its_parent_alone() -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=30, check=True)
    assert result.stdout.split() == ["0", "True", "b'alive'"]
