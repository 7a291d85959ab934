class Priority(IntEnum):
    """Priority inside a queue. On Redis the smallest number comes first.

    Use it seldom: urgency is a queue. kombu reads all queues of a worker in the order of priority
    and only then in the order of `--queues`, so `ROUTES` gives every queue its own level.
    """

    HIGH = 0
    NORMAL = 3
    LOW = 6


QUEUES = tuple(Queue(name.value, routing_key=name.value) for name in QueueName)
