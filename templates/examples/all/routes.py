    # Batches: inside a chain or a group, Celery routes them by these names, not by their items'.
    "celery.map": to(QueueName.BULK, Priority.LOW),
    "celery.starmap": to(QueueName.BULK, Priority.LOW),
