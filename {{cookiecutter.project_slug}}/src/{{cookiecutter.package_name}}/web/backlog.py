"""How much waits in a queue, and for how long."""

from kombu import Connection

from ..celery import app


def look(connection: Connection, queue: str) -> tuple[int, float | None]:
    """Return how many messages wait, and the age of the oldest where the broker tells it."""
    return app.broker.look(connection, queue)
