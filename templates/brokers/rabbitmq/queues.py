class Priority(IntEnum):
    """Priority inside a queue. On RabbitMQ the highest number comes first.

    Use it seldom: urgency is a queue. A quorum queue knows two levels, 5 and above is high, and
    RabbitMQ 3 none (https://www.rabbitmq.com/docs/quorum-queues#priorities).
    """

    HIGH = 9
    NORMAL = 4
    LOW = 1


#: Queues that need ten priorities. They are classic ones, which live on one node only and have no
#: delivery limit. The kind of a queue cannot change: use a new name, or delete the queue first.
CLASSIC: frozenset[QueueName] = frozenset()

#: Deliveries before a message is dead-lettered. It is high because it also counts messages that a
#: lost connection gave back before they were started.
DELIVERY_LIMIT = 20

DEAD_LETTERS = "dead-letters"

# A topic, since delayed messages cannot pass a direct exchange
# (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/rabbitmq.html).
EXCHANGE = Exchange("tasks", type="topic")


def declaration(name: QueueName) -> Queue:
    """Return a queue as RabbitMQ must declare it."""
    if name in CLASSIC:
        options: dict[str, Any] = {"max_priority": 10}
        arguments: dict[str, Any] = {"x-queue-type": "classic"}
    else:
        options = {}
        arguments = {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            # Keep a dead letter until its queue has it; that asks for reject-publish.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    arguments["x-dead-letter-exchange"] = DEAD_LETTERS
    return Queue(name.value, EXCHANGE, name.value, queue_arguments=arguments, **options)


QUEUES = tuple(declaration(name) for name in QueueName)
