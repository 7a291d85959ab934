"""A connection to RabbitMQ that was lost, without anybody asking the server."""

from typing import Any

import pytest
from kombu.transport.pyamqp import Transport

from my_celery_project.runtime.connection import Connection


class Lost:
    """What py-amqp has of a connection whose socket has failed: it is still open."""

    connected = True
    is_closed = False

    def collect(self) -> None:
        self.is_closed = True


def test_what_is_left_of_a_lost_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def establish(_: Transport) -> Lost:
        lost = Lost()
        made.append(lost)
        return lost

    monkeypatch.setattr(Transport, "establish_connection", establish)
    connection = Connection("amqp://host//")
    assert connection.connection is made[0]
    assert connection.ensure_connection() is connection
    assert not made[0].is_closed
    made[0].connected = False
    assert connection.connection is made[1]
    assert [each.is_closed for each in made] == [True, False]
    made[1].connected = False
    connection.ensure_connection()
    assert [each.is_closed for each in made] == [True, True, False]
