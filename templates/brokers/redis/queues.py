QUEUES = tuple(declaration(name) for name in QueueName)
