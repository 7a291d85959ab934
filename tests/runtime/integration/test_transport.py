"""The transport against a real Redis, and together with kombu's own."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from kombu import Connection, Message, Producer, Queue
from kombu.transport.redis import Transport as KombuTransport
from redis import Redis

from my_celery_project.runtime.letters import (
    files,
)
from my_celery_project.runtime.redis import (
    transport,
    unreadable,
)
from my_celery_project.runtime.testing.servers import wait_until

pytestmark = pytest.mark.integration

Connect = Callable[..., Connection]


@pytest.fixture
def prefix(urls: dict[str, str]) -> Iterator[str]:
    """Yield a prefix for the keys of one test."""
    prefix = f"{uuid4()}."
    yield prefix
    with Redis.from_url(urls["broker_url"]) as redis:
        for key in redis.scan_iter(f"{prefix}*"):
            redis.delete(key)


@pytest.fixture
def connect(urls: dict[str, str], prefix: str) -> Iterator[Connect]:
    """Yield what opens a connection, with a transport."""
    connections: list[Connection] = []

    def open_connection(kind: type = transport.Transport, **options: Any) -> Connection:
        options["global_keyprefix"] = prefix
        connection = Connection(urls["broker_url"], transport=kind, transport_options=options)
        connections.append(connection)
        return connection

    yield open_connection
    for connection in connections:
        connection.close()


@pytest.fixture
def keys(urls: dict[str, str], prefix: str) -> Iterator[Callable[[], dict[str, str]]]:
    """Yield what returns the keys in Redis and their types, without those of bindings."""
    with Redis.from_url(urls["broker_url"], decode_responses=True) as redis:
        yield lambda: {
            key.removeprefix(prefix): redis.type(key)
            for key in redis.scan_iter(f"{prefix}*")
            if "_kombu" not in key
        }


def send(connection: Connection, body: str, queue: str = "first", priority: int = 0) -> None:
    """Send a message to a queue."""
    with Producer(connection.channel()) as producer:
        declare = [Queue(queue)]
        producer.publish({"body": body}, routing_key=queue, declare=declare, priority=priority)


class Receiver:
    """A consumer of queues."""

    def __init__(self, connection: Connection, *queues: str, acknowledge: bool = True) -> None:
        self.connection = connection
        self.transport: Any = connection.transport
        self.acknowledge = acknowledge
        self.bodies: list[str] = []
        self.messages: list[Message] = []
        channel: Any = connection.channel()
        channel.basic_qos(0, 0 if acknowledge else 1, False)
        self.channel = channel
        consumer = connection.Consumer([Queue(name) for name in queues], channel=channel)
        consumer.register_callback(self.receive)
        consumer.consume()

    def receive(self, body: dict[str, str], message: Message) -> None:
        """Keep a body."""
        self.bodies.append(body["body"])
        self.messages.append(message)
        if self.acknowledge:
            message.ack()

    def take(self, number: int) -> list[str]:
        """Return so many bodies."""
        while len(self.bodies) < number:
            self.connection.drain_events(timeout=10)
        return self.bodies


def test_a_message_is_held_from_the_moment_it_is_taken(connect: Connect, keys: Any) -> None:
    send(connect(), "one")
    connection = connect()
    receiver = Receiver(connection, "first")
    opened: Any = connection.transport
    opened.cycle.on_poll_start()  # asks, and does not read the answer
    wait_until(lambda: keys() == {"unacked": "hash", "unacked_index": "zset"})
    assert receiver.channel.held() == [receiver.channel.tag]
    assert receiver.take(1) == ["one"]
    assert keys() == {}


def holding_one(connect: Connect) -> Receiver:
    """Return a receiver on an event loop that holds the only message, and may take another."""
    send(connect(), "one")
    receiver = Receiver(connect(), "first", acknowledge=False)
    receiver.take(1)
    receiver.transport.has_event_loop = True
    return receiver


def test_a_busy_worker_forgets_a_message_as_it_takes_the_next_one(
    connect: Connect, keys: Any
) -> None:
    for body in ("one", "two"):
        send(connect(), body)
    connection = connect()
    opened: Any = connection.transport
    receiver = Receiver(connection, "first", acknowledge=False)
    receiver.take(1)
    opened.has_event_loop = True
    (first,) = receiver.messages
    first.ack()
    finished = receiver.channel.qos.late
    assert finished == {first.delivery_tag} <= set(receiver.channel.held())  # its lease is renewed
    assert receiver.take(2) == ["one", "two"]
    assert finished == set()
    receiver.messages[1].ack()
    assert finished
    with pytest.raises(TimeoutError):  # there is no next message, but there could be one
        connection.drain_events(timeout=0.5)
    assert finished == set()
    assert keys() == {}


def test_a_worker_that_asked_for_a_message_forgets_the_last_one_at_once(
    connect: Connect, keys: Any
) -> None:
    send(connect(), "one")
    connection = connect()
    opened: Any = connection.transport
    receiver = Receiver(connection, "first", acknowledge=False)
    receiver.channel.basic_qos(0, 2, False)
    receiver.take(1)
    opened.has_event_loop = True
    opened.cycle.on_poll_start()
    receiver.messages[0].ack()
    assert receiver.channel.qos.late == set()
    wait_until(lambda: keys() == {})


def test_a_worker_that_stops_forgets_a_message_that_it_was_about_to(
    connect: Connect, keys: Any
) -> None:
    receiver = holding_one(connect)
    receiver.messages[0].ack()
    assert "unacked" in keys()
    receiver.connection.close()
    assert keys() == {}


def test_a_message_of_a_lost_connection_is_forgotten_at_once(connect: Connect, keys: Any) -> None:
    receiver = holding_one(connect)
    receiver.channel.do_restore = False  # as for the message of a task that goes on
    receiver.channel.close()
    assert "unacked" in keys()
    receiver.messages[0].ack()
    assert keys() == {}


def test_a_message_whose_end_redis_did_not_confirm_is_forgotten_later(
    connect: Connect, keys: Any
) -> None:
    receiver = holding_one(connect)
    (message,) = receiver.messages
    message.ack()
    receiver.transport.cycle.on_poll_start()
    receiver.channel.client.connection.disconnect()  # the answer is lost
    assert receiver.channel.qos.late == {message.delivery_tag}
    receiver.channel.qos.renew(receiver.channel.held())
    assert receiver.channel.qos.late == set()
    assert "unacked" not in keys()


def test_a_message_wakes_one_that_waits(connect: Connect) -> None:
    connection = connect()
    receiver = Receiver(connection, "first", "second")
    receiver.channel.brpop_timeout = 60
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.5)
    send(connect(), "one", "second")
    assert receiver.take(1) == ["one"]


def test_one_that_takes_leaves_a_wake_up_for_the_rest(connect: Connect, keys: Any) -> None:
    for body in ("one", "two"):
        send(connect(), body)
        send(connect(), body, "second")
    receiver = Receiver(connect(), "first", "second", acknowledge=False)
    receiver.take(1)
    assert {"_wake.first", "_wake.second"} <= keys().keys()
    Receiver(connect(), "first", "second").take(3)
    assert set(keys()) == {"unacked", "unacked_index"}


def test_the_order_is_that_of_priorities(connect: Connect) -> None:
    options = {"queue_order_strategy": "priority", "priority_steps": [0, 3, 6, 9]}
    sender = connect(**options)
    for priority in (9, 0):
        for queue in ("second", "first"):
            send(sender, f"{queue} {priority}", queue, priority)
    assert Receiver(connect(**options), "first", "second").take(4) == [
        "first 0",
        "second 0",
        "first 9",
        "second 9",
    ]


def test_messages_go_to_and_from_kombus_transport(connect: Connect, keys: Any) -> None:
    send(connect(KombuTransport), "to ours")
    assert Receiver(connect(), "first").take(1) == ["to ours"]
    send(connect(), "from ours")
    assert Receiver(connect(KombuTransport), "first").take(1) == ["from ours"]
    assert "unacked" not in keys()


def test_a_message_that_was_held_goes_back_to_its_queue(connect: Connect, keys: Any) -> None:
    send(connect(), "one")
    connection = connect()
    Receiver(connection, "first", acknowledge=False).take(1)
    connection.close()
    assert keys().keys() - {"_wake.first"} == {"first"}
    assert Receiver(connect(), "first").take(1) == ["one"]


def test_what_is_no_message_is_set_aside(
    connect: Connect, keys: Any, urls: dict[str, str], prefix: str
) -> None:
    wrong = [b"\x80garbage", b"[1, 2]", json.dumps({"body": "no properties"}).encode()]
    with Redis.from_url(urls["broker_url"]) as redis:
        redis.lpush(f"{prefix}first", *wrong)
        send(connect(), "one")
        assert Receiver(connect(), "first").take(1) == ["one"]
        assert redis.lrange(f"{prefix}{transport.UNREADABLE}", 0, -1)[::-1] == wrong
    assert keys() == {transport.UNREADABLE: "list"}


def test_replies_are_not_held(connect: Connect, keys: Any) -> None:
    connection = connect()
    with connection.SimpleQueue("replies", no_ack=True) as replies:
        replies.put("answer")
        assert replies.get(timeout=10).payload == "answer"
    assert "unacked" not in keys()


def test_what_was_set_aside_is_collected_under_the_prefix_of_the_project(
    urls: dict[str, str], prefix: str, tmp_path: Path
) -> None:
    app = Celery(broker=urls["broker_url"], set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": prefix}
    store = files.FileStore(tmp_path)
    with Redis.from_url(urls["broker_url"]) as redis:
        redis.lpush(f"{prefix}{transport.UNREADABLE}", "one", "two")
        redis.lpush(f"{prefix}{unreadable.EARLIER}", "three")
        redis.lpush(f"another-{prefix}{transport.UNREADABLE}", "another project's")
        assert unreadable.collect(app, store) == len(list(store)) == 3
        assert not list(redis.scan_iter(f"{prefix}*unreadable"))
        assert redis.delete(f"another-{prefix}{transport.UNREADABLE}")


def test_projects_do_not_share_what_was_set_aside() -> None:
    project = "my_celery_project"
    assert f"{project}:unreadable" == transport.UNREADABLE
