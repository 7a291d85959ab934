import json
from collections.abc import Callable
from pathlib import Path

import pytest
from kombu import Connection, Exchange, Queue

from my_celery_project.runtime.config import (
    local_broker,
)


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[], Connection]:
    """Return a function that connects as another process would."""
    local_broker.use()
    control = tmp_path / "control"
    control.mkdir()
    options = {name: str(tmp_path) for name in ("data_folder_in", "data_folder_out")}
    options["control_folder"] = str(control)
    return lambda: Connection("filesystem://", transport_options=options)


def test_messages_are_moved_into_place(connect: Callable[[], Connection], tmp_path: Path) -> None:
    with connect() as connection, connection.SimpleQueue("work") as queue:
        for number in range(3):
            queue.put(number)
        assert len(list(tmp_path.glob("*.work.msg"))) == 3
        assert list(tmp_path.glob("*.part")) == []
        assert sorted(queue.get(timeout=10).payload for _ in range(3)) == [0, 1, 2]


def test_every_connection_adds_its_binding(
    connect: Callable[[], Connection], tmp_path: Path
) -> None:
    names = {f"queue{number}" for number in range(4)}
    for name in names:
        with connect() as connection, connection.channel() as channel:
            Queue(name, Exchange("work", type="direct"), routing_key=name)(channel).declare()
    bindings = json.loads((tmp_path / "control" / "work.exchange").read_text(encoding="utf-8"))
    assert {queue for _key, _pattern, queue in bindings} == names
