"""Declaring everything that RabbitMQ needs before a message is sent.

Celery has three gaps, each of which loses tasks (seen with Celery 5.7 on RabbitMQ 3.10 and 4.0):

- A worker binds every queue to the exchanges for delayed delivery, but declares only its own
  queues. Messages with a countdown for a queue that no worker has declared yet vanish.
- Only a worker declares these exchanges, so a countdown fails until the first worker has started.
- A countdown of less than a second is an error (kombu's `calculate_routing_key`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from kombu import Connection, Exchange, Queue
from kombu.exceptions import OperationalError
from kombu.transport.native_delayed_delivery import (
    bind_queue_to_native_delayed_delivery_exchange as bind_delayed,
)
from kombu.transport.native_delayed_delivery import (
    declare_native_delayed_delivery_exchanges_and_queues as declare_delayed,
)
from kombu.transport.pyamqp import Transport

from .queues import DEAD_LETTERS

#: RabbitMQ's answer if something exists already with other arguments
#: (https://www.rabbitmq.com/amqp-0-9-1-reference, "precondition-failed").
PRECONDITION_FAILED = 406

#: How RabbitMQ names what exists already, in an error such as `inequivalent arg 'x-queue-type'
#: for queue 'bulk' in vhost '/': received 'quorum' but current is 'classic'`.
EXISTING = re.compile(r"arg ('.+?') for (\w+ '.+?') in (vhost '.+?'): (.+)", re.DOTALL)


class MismatchError(OperationalError):
    """A queue or exchange with one of our names exists in RabbitMQ, but with other arguments."""


@contextmanager
def explained() -> Iterator[None]:
    """Turn RabbitMQ's error about an existing queue or exchange into one that says what to do.

    Raises:
        MismatchError: A queue or an exchange exists already with other arguments.
    """
    try:
        yield
    except Transport.channel_errors as error:
        if getattr(error, "reply_code", None) != PRECONDITION_FAILED:
            raise
        text = str(getattr(error, "reply_text", error))
        if not (found := EXISTING.search(text)):
            raise MismatchError(
                f"RabbitMQ refuses a declaration of this project: {text}"
            ) from error
        argument, what, where, difference = found.groups()
        raise MismatchError(
            f"RabbitMQ has an old {what} in {where} whose {argument} differs ({difference}):"
            " let the old workers empty it and then delete it, or use another virtual host"
            " in CELERY_BROKER_URL"
        ) from error


def declare(connection: Connection, queues: Iterable[Queue]) -> None:
    """Declare the dead-letter queue, all other queues and delayed delivery; safe to repeat.

    The dead-letter queue is not among the app's queues, or a worker without `--queues` would run
    its messages.

    Args:
        connection: A connection to RabbitMQ.
        queues: All queues of the project.

    Raises:
        MismatchError: A queue or an exchange exists already with other arguments.
    """
    dead_letters = Queue(
        DEAD_LETTERS,
        Exchange(DEAD_LETTERS, type="fanout"),
        queue_arguments={"x-queue-type": "quorum"},
    )
    with explained():
        with connection.channel() as channel:
            for queue in (dead_letters, *queues):
                queue(channel).declare()
        declare_delayed(connection, "quorum")
        for queue in queues:
            bind_delayed(connection, queue)
