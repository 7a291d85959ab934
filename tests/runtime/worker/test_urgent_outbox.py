"""A task of the outbox may be urgent, too."""

import pytest

from my_celery_project.celery import app
from my_celery_project.queues import URGENT, QueueName
from my_celery_project.runtime.sql import database, outbox
from my_celery_project.runtime.testing.servers import wait_until
from my_celery_project.tasks.heartbeat import beat


@pytest.mark.usefixtures("tables")
def test_a_task_of_the_outbox(runs: list[tuple[str, str]]) -> None:
    with database.session() as session:
        outbox.add(session, beat.s().set(headers=URGENT))
    with database.session() as session:
        assert outbox.send_batch(app, session) == 1
    wait_until(lambda: runs)
    assert runs == [(beat.name, QueueName.CRITICAL)]
