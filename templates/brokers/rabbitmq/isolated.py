

#: Seconds; workers send a heartbeat twice as often.
LEASE = {{ 400 if cookiecutter.pool == "solo" else 3 }}


def isolated(broker_url: str) -> dict[str, Any]:
    """Return settings for empty queues: all queues of the project are purged."""
    with Connection(broker_url) as connection, connection.channel() as channel:
        declare(connection, queues.QUEUES)
        delayed = [level_name(level) for level in range(MAX_LEVEL + 1)]
        for name in [*queues.QueueName, DEAD_LETTERS, *delayed]:
            Queue(name)(channel).purge()
    return {"broker_url": broker_url, "broker_heartbeat": LEASE}
