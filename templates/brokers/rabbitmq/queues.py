#: Queues that need ten priorities and are therefore classic queues: see `declaration`.
CLASSIC: frozenset[QueueName] = frozenset()

QUEUES = tuple(declaration(name, classic=name in CLASSIC) for name in QueueName)
