"""A Redis transport that loses no message on its way from a queue to a worker.

kombu's own transport takes a message with BRPOP and records with a second command that a worker
holds it. The message is lost if the worker or the connection ends in between, or if Redis is full:
15 times `kill -9` lost 11 of 13,500 short tasks (Celery 5.7). Here a script does both in one step,
which also saves a round trip. A script cannot wait, so a worker that found no message waits with
BRPOP for a wake-up, a list with one item that a publisher puts beside the queue.

Messages and keys are the same as kombu's, so its clients and workers can share the queues. A
waiting worker sees messages from clients with kombu's own transport within a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty
from typing import Any
from uuid import uuid4

from celery.utils.log import get_logger
from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis import Redis
from redis.exceptions import OutOfMemoryError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..observer import observer

logger = get_logger(__name__)

#: Wakes a waiting worker. The wake-up expires, because a queue of replies may vanish unread.
WAKE = """
local function wake(key)
    if redis.call('EXISTS', key) == 0 then
        redis.call('LPUSH', key, 1)
        redis.call('EXPIRE', key, 3600)
    end
end
"""

#: Keys: the list of a queue; its wake-up. Arguments: the message.
PUT = (
    WAKE
    + """
redis.call('LPUSH', KEYS[1], ARGV[1])
wake(KEYS[2])
"""
)

#: Takes a message, and records that finished ones are no longer held: a busy worker does both at
#: once. Keys: the times and the messages that are held; a wake-up for each queue; the lists of the
#: first priority, then of the next. Arguments: tag, time, the number of queues, their names as
#: JSON, the tags of finished messages. Removing comes first, because a Redis that is out of memory
#: lets a script go on once it has removed something.
TAKE = (
    WAKE
    + """
local queues, taken = tonumber(ARGV[3]), false
for tag = 4 + queues, #ARGV do
    redis.call('ZREM', KEYS[1], ARGV[tag])
    redis.call('HDEL', KEYS[2], ARGV[tag])
end
for list = 3 + queues, #KEYS do
    local message = redis.call('RPOP', KEYS[list])
    if message then
        local queue = (list - 3) % queues + 1
        redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
        redis.call('HSET', KEYS[2], ARGV[1], '[' .. message .. ', "", ' .. ARGV[queue + 3] .. ']')
        taken = {queue, message}
        break
    end
end
for queue = 1, queues do
    local left = false
    for list = 2 + queues + queue, #KEYS, queues do
        left = left or redis.call('EXISTS', KEYS[list]) == 1
    end
    if left then
        wake(KEYS[queue + 2])
    else
        redis.call('DEL', KEYS[queue + 2])
    end
end
return taken
"""
)

#: Records that a message is no longer held. Keys: the times, the messages. Arguments: tag. A Redis
#: that is out of memory would refuse kombu's transaction, although it frees memory, and no worker
#: could finish a task.
FORGET = """
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('HDEL', KEYS[2], ARGV[1])
"""

#: Gives a message back, once. More keys: the lists to put it into. More arguments: LPUSH or RPUSH,
#: the message.
GIVE_BACK = """
redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('HDEL', KEYS[2], ARGV[1]) == 1 then
    for list = 3, #KEYS do
        redis.call(ARGV[2], KEYS[list], ARGV[3])
    end
    return 1
end
return 0
"""

#: Renews leases. Keys: the times. Arguments: time, tags. XX never brings back a message that was
#: acknowledged meanwhile. Removing nothing lets the script go on in a Redis that is out of memory.
RENEW = """
redis.call('ZREM', KEYS[1], '')
for tag = 2, #ARGV do
    redis.call('ZADD', KEYS[1], 'XX', ARGV[1], ARGV[tag])
end
"""

#: The list of items that this project's workers took from a queue and could not read as messages.
UNREADABLE = f"{__package__.partition('.')[0]}:unreadable"


class WithoutTransactions:
    """A client whose pipelines are no transactions unless somebody asks for one.

    In one, the default, a full Redis refuses even to count and to delete.
    """

    def pipeline(self, transaction: bool = False, shard_hint: str | None = None) -> Any:
        """Return a pipeline."""
        return super().pipeline(transaction, shard_hint)  # type: ignore[misc]


class Client(WithoutTransactions, Redis):
    """A client of a Redis."""


class PrefixedClient(WithoutTransactions, redis.PrefixedStrictRedis):
    """A client that puts a prefix before all keys."""


class QoS(redis.QoS):
    """The messages that a channel holds."""

    channel: Any
    _vrestore_count: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Tags of finished messages that Redis has not confirmed yet.
        self.late: set[str] = set()

    def append(self, message: Any, delivery_tag: str) -> None:
        """Hold a message until it is acknowledged."""
        if delivery_tag == self.channel.tag:  # Redis has recorded it already
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Remove a finished message, or let the script do so that is about to take the next one.

        If Redis does not answer, it is removed soon. In any case it stops taking up a prefetch
        slot. In kombu it would do so for ever, and after a pause of Redis of some seconds workers
        took no more messages.
        """
        virtual.QoS.ack(self, delivery_tag)
        self.late.add(delivery_tag)
        if not self.channel.is_about_to_take():
            self.forget(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Remove a message or give it back; if Redis does not answer, let its lease run out."""
        if requeue:
            virtual.QoS.ack(self, delivery_tag)
            self.restore_by_tag(delivery_tag, leftmost=True)
        else:
            self.ack(delivery_tag)

    def forget(self, delivery_tag: str) -> None:
        """Record in Redis that a message is no longer held."""
        with self.channel.conn_or_acquire() as client:
            client.execute_command(*self.call(FORGET, [], delivery_tag))
        self.late.discard(delivery_tag)

    def restore_unacked_once(self, *args: Any) -> None:
        """Give back held messages when the channel closes, but not the finished ones."""
        with suppress(*self.channel.connection_errors):
            for tag in tuple(self.late):
                self.forget(tag)
        super().restore_unacked_once(*args)

    def renew(self, tags: list[str]) -> None:
        """Renew the leases of messages."""
        for tag in tuple(self.late):
            self.forget(tag)
        with self.channel.conn_or_acquire() as client:
            client.execute_command(
                *self.channel.eval_command(RENEW, [self.unacked_index_key], [time.time(), *tags])
            )

    def call(self, script: str, lists: list[str], *arguments: Any) -> list[Any]:
        """Run a script with the keys of held messages, and return its answer."""
        keys = [self.unacked_index_key, self.unacked_key, *lists]
        command: list[Any] = self.channel.eval_command(script, keys, list(arguments))
        return command

    def restore_visible(self, start: int = 0, num: int | None = 10, interval: int = 10) -> None:
        """Give back messages that nobody renewed, without kombu's lock, which needs memory."""
        self._vrestore_count += 1
        if (self._vrestore_count - 1) % (interval or 1):
            return
        with self.channel.conn_or_acquire() as client:
            latest = time.time() - self.visibility_timeout
            offset = None if num is None else start
            for tag in client.zrange(
                self.unacked_index_key, latest, 0, desc=True, byscore=True, offset=offset, num=num
            ):
                if self.give_back(tag, client):
                    observer().count("lease_rescues")

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Give a message back to its queue, if it is still held."""
        self.give_back(tag, client, leftmost)

    def give_back(self, tag: Any, client: Any = None, leftmost: bool = False) -> bool:
        """Do the same, and return whether the message was held."""
        channel, tag = self.channel, bytes_to_str(tag)
        with channel.conn_or_acquire(client) as client:
            held = client.hget(self.unacked_key, tag)
            if held is None:  # acknowledged
                self.forget(tag)
                return False
            message, exchange, routing_key = loads(bytes_to_str(held))
            with suppress(KeyError):
                message["headers"]["redelivered"] = True
                message["properties"]["delivery_info"]["redelivered"] = True
            priority = channel._get_message_priority(message, reverse=False)
            queues = channel._lookup(exchange, routing_key)
            lists = [channel._q_for_pri(queue, priority) for queue in queues]
            push = "LPUSH" if leftmost else "RPUSH"
            give_back = self.call(GIVE_BACK, lists, tag, push, dumps(message))
            return bool(client.execute_command(*give_back))

    def restore_unacked(self, client: Any = None) -> None:
        """Give back unacknowledged messages of a closing channel, but not those of running tasks.

        kombu gives back everything, so a running task would start again after a cut connection. But
        the tag of a message is valid on any connection, so the worker can acknowledge it later.
        """
        delivered: Any = self._delivered
        with self.channel.conn_or_acquire(client) as client:
            for tag in delivered.keys() - running():
                self.restore_by_tag(tag, client=client)
        delivered.clear()


def running() -> set[str]:
    """Return the tags of messages whose tasks this worker runs and will wait for."""
    from celery.worker import state  # not needed by publishers

    if state.should_terminate not in {None, False}:
        return set()
    return {request.message.delivery_tag for request in tuple(state.active_requests)}


class AtomicDelivery:
    """Mixin with the methods that differ from kombu's channel."""

    QoS = QoS

    #: The tag for the message that was last asked for.
    tag = ""
    _waits = False
    _queues: list[str]
    #: The tags of finished messages that the script is to remove.
    _finished: tuple[str, ...] = ()
    _kept_client: Any = None

    def held(self: Any) -> list[str]:
        """Return the tags of all messages that this worker holds, or is about to."""
        asked_for = [self.tag] if self._in_poll and not self._waits else []
        return [*{*self.qos._delivered, *self.qos.late, *running(), *asked_for}]

    def is_about_to_take(self: Any) -> bool:
        """Whether the event loop is going to take a message in this turn.

        A turn begins with acknowledgements (kombu/asynchronous/hub.py, `create_loop`), and then
        asks for a message if there is room for it (kombu/transport/redis.py, `on_poll_start`). A
        channel that is closed, as after a lost connection, takes no more.
        """
        if self.closed or not self.connection.has_event_loop:
            return False
        return bool(not self._in_poll and self.active_queues and self.qos.can_consume())

    def heads(self: Any, queue: str) -> list[bytes]:
        """Return the oldest message of each priority that a queue has."""
        prefix = self.global_keyprefix  # kombu's client adds it to the commands that kombu uses
        lists = (prefix + self._q_for_pri(queue, step) for step in self.priority_steps)
        with self.conn_or_acquire() as client:
            return [head for name in lists if (head := client.lindex(name, -1))]

    def _create_client(self: Any, asynchronous: bool = False) -> Any:
        # kombu makes a client for each command, which took a sixth of a busy worker's time.
        if asynchronous:
            return super()._create_client(asynchronous)  # type: ignore[misc]
        if self.closed and self._kept_client is not None:  # needed to acknowledge running tasks
            return self._kept_client
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()  # type: ignore[misc]
        return self._kept_client

    def _get_client(self: Any) -> Callable[..., Any]:
        super()._get_client()  # type: ignore[misc]  # which refuses versions that are too old
        prefix = self.global_keyprefix
        return partial(PrefixedClient, global_keyprefix=prefix) if prefix else Client

    def eval_command(self: Any, script: str, keys: list[str], arguments: list[Any]) -> list[Any]:
        """Return the command that runs a script."""
        prefixed = [self.global_keyprefix + key for key in keys]
        return ["EVAL", script, len(keys), *prefixed, *arguments]

    def _queue_bind(self: Any, *binding: Any) -> None:
        try:
            super()._queue_bind(*binding)  # type: ignore[misc]
        except OutOfMemoryError as error:
            # An error here would keep workers, which free memory, from starting. The binding that
            # Redis refuses usually exists already.
            logger.warning("Redis is full and cannot bind queue %r: %s", binding[-1], error)

    def _put(self: Any, queue: str, message: Any, **options: Any) -> None:
        if "_publish_batch" in options or queue in self._expires:
            super()._put(queue, message, **options)  # type: ignore[misc]
            return
        key = self._q_for_pri(queue, self._get_message_priority(message, reverse=False))
        with self.conn_or_acquire() as client:
            put = self.eval_command(PUT, [key, wake_up(queue)], [dumps(message)])
            client.execute_command(*put)

    def _brpop_start(self: Any, timeout: float | None = None) -> None:
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        self._in_poll = connection = self.client.connection
        self._brpop_sent_at = time.monotonic()
        wake_ups = [wake_up(queue) for queue in queues]
        if self._waits:
            keys = [self.global_keyprefix + key for key in wake_ups]
            connection.send_command("BRPOP", *keys, timeout or self.brpop_timeout)
            return
        self._queues, self.tag, self._finished = queues, str(uuid4()), tuple(self.qos.late)
        steps = self.priority_steps
        lists = [self._q_for_pri(queue, step) for step in steps for queue in queues]
        keys = [self.unacked_index_key, self.unacked_key, *wake_ups, *lists]
        arguments = [self.tag, time.time(), len(queues), *map(dumps, queues), *self._finished]
        connection.send_command(*self.eval_command(TAKE, keys, arguments))

    def _brpop_read(self: Any, **options: Any) -> bool:
        waited, self._waits = self._waits, False
        try:
            answer = self.client.connection.read_response()
            if waited:  # in any case, because clients with kombu's transport leave no wake-up
                raise Empty
            self.qos.late.difference_update(self._finished)
            if not answer:
                self._waits = True
                raise Empty
            number, body = answer
            self._receive_message(self._queues[number - 1], body)
        except self.connection_errors:
            self.client.connection.disconnect()  # the next iteration connects again
            raise
        finally:
            self.tag = ""
            self._in_poll = None
            self._flush_brpop_reauth()
        return True

    def _receive_message(self: Any, queue: str, body: bytes) -> None:
        try:
            message = loads(body)
            message["properties"]["delivery_tag"] = self.tag  # not the tag of an earlier delivery
        except (ValueError, KeyError, TypeError):
            logger.critical("Set aside an unreadable item of queue %r: %.1000r", queue, body)
            with self.qos.pipe_or_acquire() as pipe:
                self.qos._remove_from_indices(self.tag, pipe.lpush(UNREADABLE, body)).execute()
            return
        self._queue_cycle.rotate(queue)
        self.connection._deliver(message, queue)
        if self.tag not in self.qos._delivered:  # replies are not acknowledged
            self.qos._remove_from_indices(self.tag).execute()


def wake_up(queue: str) -> str:
    """Return the key of the wake-up of a queue."""
    return f"_wake.{queue}"


class Channel(AtomicDelivery, redis.Channel):  # type: ignore[misc]
    """A channel to one Redis."""


class SentinelChannel(AtomicDelivery, redis.SentinelChannel):  # type: ignore[misc]
    """A channel to the Redis that a Sentinel names."""


#: Errors that are raised if Redis does not answer.
TIMEOUTS = (TimeoutError, RedisTimeoutError)


class OnEventLoop:
    """Mixin that tells whether a worker's event loop runs the transport."""

    timeouts = TIMEOUTS
    has_event_loop = False

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Let an event loop take messages."""
        super().register_with_event_loop(connection, loop)  # type: ignore[misc]
        self.has_event_loop = True


class Transport(OnEventLoop, redis.Transport):
    """The transport for `redis://` and `rediss://`."""

    Channel = Channel


class SentinelTransport(OnEventLoop, redis.SentinelTransport):
    """The transport for `sentinel://`."""

    Channel = SentinelChannel


#: The transports by URL scheme.
ALIASES = {
    "redis": f"{__name__}:{Transport.__name__}",
    "rediss": f"{__name__}:{Transport.__name__}",
    "sentinel": f"{__name__}:{SentinelTransport.__name__}",
}


def use() -> None:
    """Register the transports above for this process; kombu treats `redis+socket://` as `redis`."""
    TRANSPORT_ALIASES.update(ALIASES)
