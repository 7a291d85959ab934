import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from kombu import Connection, Exchange, Queue

from {{ cookiecutter.package_name }}.config import local_broker

MESSAGES = 200
EXCHANGE = Exchange("work", type="direct")


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[], Connection]:
    """Return a function that connects as another process would."""
    local_broker.use()
    control = tmp_path / "control"
    control.mkdir()
    options = {name: str(tmp_path) for name in ("data_folder_in", "data_folder_out")}
    options["control_folder"] = str(control)
    return lambda: Connection("filesystem://", transport_options=options)


def test_no_half_message_is_read(connect: Callable[[], Connection]) -> None:
    def publish() -> None:
        with connect() as connection, connection.SimpleQueue("work") as queue:
            for number in range(MESSAGES):
                queue.put(number)

    publisher = threading.Thread(target=publish)
    publisher.start()
    with connect() as connection, connection.SimpleQueue("work") as queue:
        read = [queue.get(timeout=10).payload for _ in range(MESSAGES)]
    publisher.join()
    assert sorted(read) == list(range(MESSAGES))


def test_queues_that_are_bound_at_the_same_moment_are_all_bound(
    connect: Callable[[], Connection], tmp_path: Path
) -> None:
    names = {f"queue{number}" for number in range(8)}
    start = threading.Barrier(len(names))

    def bind(name: str) -> None:
        with connect() as connection, connection.channel() as channel:
            start.wait()
            Queue(name, EXCHANGE, routing_key=name)(channel).declare()

    threads = [threading.Thread(target=bind, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bindings = json.loads((tmp_path / "control" / "work.exchange").read_text(encoding="utf-8"))
    assert {queue for _key, _pattern, queue in bindings} == names
