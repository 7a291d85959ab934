#: Queues that need ten priorities: classic ones, see `declaration`.
CLASSIC: frozenset[QueueName] = frozenset()

QUEUES = tuple(declaration(name, classic=name in CLASSIC) for name in QueueName)
