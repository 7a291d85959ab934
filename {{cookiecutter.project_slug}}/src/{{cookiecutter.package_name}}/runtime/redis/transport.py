"""Redis transport that loses no message on its way from a queue to a worker.

kombu's own takes a message with BRPOP, and notes with a second command that it is held. A message
is lost if the worker or the connection ends in between, or if Redis is full: 15 times `kill -9`
lost 11 of 13,500 short tasks (Celery 5.7). Here a script does both in one step, which also saves a
round trip. A script cannot wait, so a worker that found nothing waits with BRPOP for a wake-up
instead, a list of one item that a publisher leaves beside the queue.

Messages and keys are those of kombu: its clients and workers can share the queues. A waiting worker
sees within a second what a client with kombu's own transport sends.
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

logger = get_logger(__name__)

#: Wakes a worker that waits. It expires, since a queue of replies may vanish without being read.
WAKE = """
local function wake(key)
    if redis.call('EXISTS', key) == 0 then
        redis.call('LPUSH', key, 1)
        redis.call('EXPIRE', key, 3600)
    end
end
"""

#: Keys: the list of a queue, its wake-up. Arguments: the message.
PUT = (
    WAKE
    + """
redis.call('LPUSH', KEYS[1], ARGV[1])
wake(KEYS[2])
"""
)

#: Keys: the times and the messages that are held, a wake-up for each queue, the lists of the first
#: priority, those of the next. Arguments: tag, time, the names of the queues as JSON. RPOP comes
#: first, since a Redis without memory lets a script go on that has removed something.
TAKE = (
    WAKE
    + """
local queues, taken = #ARGV - 2, false
for list = 3 + queues, #KEYS do
    local message = redis.call('RPOP', KEYS[list])
    if message then
        local queue = (list - 3) % queues + 1
        redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
        redis.call('HSET', KEYS[2], ARGV[1], '[' .. message .. ', "", ' .. ARGV[queue + 2] .. ']')
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

#: Forget that a message is held. Keys: the times, the messages. Arguments: tag. kombu's transaction
#: is refused when Redis has no memory left, although it frees some: no worker could end a task.
FORGET = """
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('HDEL', KEYS[2], ARGV[1])
"""

#: Give a message back, once. More keys: the lists to put it into. More arguments: LPUSH or RPUSH,
#: the message.
GIVE_BACK = """
redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('HDEL', KEYS[2], ARGV[1]) == 1 then
    for list = 3, #KEYS do
        redis.call(ARGV[2], KEYS[list], ARGV[3])
    end
end
"""

#: Renew leases. Keys: the times. Arguments: time, tags. XX never brings back what was acknowledged
#: meanwhile; the removal of nothing lets the script go on without memory.
RENEW = """
redis.call('ZREM', KEYS[1], '')
for tag = 2, #ARGV do
    redis.call('ZADD', KEYS[1], 'XX', ARGV[1], ARGV[tag])
end
"""

#: The list of what this project's workers took from a queue and could not read as a message.
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
    """What a channel holds."""

    channel: Any
    _vrestore_count: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Tags of what is done with, although Redis did not answer.
        self.late: set[str] = set()

    def append(self, message: Any, delivery_tag: str) -> None:
        """Keep a message until it is acknowledged."""
        if delivery_tag == self.channel.tag:  # Redis knows
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Remove a message that is done with; if Redis does not answer, soon.

        It takes up no room here in any case. In kombu it does, for ever, so that a Redis that stood
        still for some seconds left workers that took nothing any more.
        """
        virtual.QoS.ack(self, delivery_tag)
        try:
            self.forget(delivery_tag)
        except Exception:
            self.late.add(delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Remove a message, or give it back; if Redis does not answer, its lease ends."""
        if requeue:
            virtual.QoS.ack(self, delivery_tag)
            self.restore_by_tag(delivery_tag, leftmost=True)
        else:
            self.ack(delivery_tag)

    def forget(self, delivery_tag: str) -> None:
        """Forget that a message is held."""
        with self.channel.conn_or_acquire() as client:
            client.execute_command(*self.call(FORGET, [], delivery_tag))
        self.late.discard(delivery_tag)

    def restore_unacked_once(self, *args: Any) -> None:
        """Give back what is held when the channel closes, but not what is done with."""
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
        """Return a script's call with the keys of what is held."""
        keys = [self.unacked_index_key, self.unacked_key, *lists]
        command: list[Any] = self.channel.eval_command(script, keys, list(arguments))
        return command

    def restore_visible(self, start: int = 0, num: int | None = 10, interval: int = 10) -> None:
        """Give back what nobody has renewed; kombu takes a lock, for which memory may lack."""
        self._vrestore_count += 1
        if (self._vrestore_count - 1) % (interval or 1):
            return
        with self.channel.conn_or_acquire() as client:
            latest = time.time() - self.visibility_timeout
            offset = None if num is None else start
            for tag in client.zrange(
                self.unacked_index_key, latest, 0, desc=True, byscore=True, offset=offset, num=num
            ):
                self.restore_by_tag(tag, client)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Give a message back to its queue, if it is still held."""
        channel, tag = self.channel, bytes_to_str(tag)
        with channel.conn_or_acquire(client) as client:
            held = client.hget(self.unacked_key, tag)
            if held is None:  # acknowledged
                self.forget(tag)
                return
            message, exchange, routing_key = loads(bytes_to_str(held))
            with suppress(KeyError):
                message["headers"]["redelivered"] = True
                message["properties"]["delivery_info"]["redelivered"] = True
            priority = channel._get_message_priority(message, reverse=False)
            queues = channel._lookup(exchange, routing_key)
            lists = [channel._q_for_pri(queue, priority) for queue in queues]
            push = "LPUSH" if leftmost else "RPUSH"
            client.execute_command(*self.call(GIVE_BACK, lists, tag, push, dumps(message)))

    def restore_unacked(self, client: Any = None) -> None:
        """Give back what a channel that closes has not acknowledged, but not what runs.

        kombu gives back everything, so that after a cut connection a running task starts again. But
        the tag of a message is good on any connection: the worker acknowledges it when it ends.
        """
        delivered: Any = self._delivered
        with self.channel.conn_or_acquire(client) as client:
            for tag in delivered.keys() - running():
                self.restore_by_tag(tag, client=client)
        delivered.clear()


def running() -> set[str]:
    """Return the tags of the messages whose tasks this worker runs, and will wait for."""
    from celery.worker import state  # which no publisher needs

    if state.should_terminate not in {None, False}:
        return set()
    return {request.message.delivery_tag for request in tuple(state.active_requests)}


class AtomicDelivery:
    """The part of a channel that differs from kombu's."""

    QoS = QoS

    #: Tag of the message that was asked for.
    tag = ""
    _waits = False
    _queues: list[str]
    _kept_client: Any = None

    def held(self: Any) -> list[str]:
        """Return the tags of all messages that this worker holds, or is about to."""
        asked_for = [self.tag] if self._in_poll and not self._waits else []
        return [*{*self.qos._delivered, *self.qos.late, *running(), *asked_for}]

    def heads(self: Any, queue: str) -> list[bytes]:
        """Return the oldest message of each priority that a queue has."""
        prefix = self.global_keyprefix  # kombu's client adds it to the commands that kombu uses
        lists = (prefix + self._q_for_pri(queue, step) for step in self.priority_steps)
        with self.conn_or_acquire() as client:
            return [head for name in lists if (head := client.lindex(name, -1))]

    def _create_client(self: Any, asynchronous: bool = False) -> Any:
        # kombu makes one for each command, which took a sixth of the time of a busy worker.
        if asynchronous:
            return super()._create_client(asynchronous)  # type: ignore[misc]
        if self.closed and self._kept_client is not None:  # acknowledges what still runs
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
            # Or no worker could start that frees memory. What it refuses is usually there already.
            logger.warning("Redis is full and keeps no binding of %r: %s", binding[-1], error)

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
        self._queues, self.tag = queues, str(uuid4())
        steps = self.priority_steps
        lists = [self._q_for_pri(queue, step) for step in steps for queue in queues]
        keys = [self.unacked_index_key, self.unacked_key, *wake_ups, *lists]
        arguments = [self.tag, time.time(), *map(dumps, queues)]
        connection.send_command(*self.eval_command(TAKE, keys, arguments))

    def _brpop_read(self: Any, **options: Any) -> bool:
        waited, self._waits = self._waits, False
        try:
            answer = self.client.connection.read_response()
            if waited:  # in any case: a client of kombu leaves no wake-up
                raise Empty
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
            message["properties"]["delivery_tag"] = self.tag  # of this delivery, not of any before
        except (ValueError, KeyError, TypeError):
            logger.critical("Set aside what is no message, from queue %r: %.1000r", queue, body)
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


#: What is raised when Redis does not answer.
TIMEOUTS = (TimeoutError, RedisTimeoutError)


class Transport(redis.Transport):
    """For `redis://` and `rediss://`."""

    Channel = Channel
    timeouts = TIMEOUTS


class SentinelTransport(redis.SentinelTransport):
    """For `sentinel://`."""

    Channel = SentinelChannel
    timeouts = TIMEOUTS


#: The transports by the scheme of a URL. kombu looks them up by it, for this process from now on.
ALIASES = {
    "redis": f"{__name__}:{Transport.__name__}",
    "rediss": f"{__name__}:{Transport.__name__}",
    "sentinel": f"{__name__}:{SentinelTransport.__name__}",
}


def use() -> None:
    """Let these schemes mean the transports above. `redis+socket://` is `redis` to kombu."""
    TRANSPORT_ALIASES.update(ALIASES)
