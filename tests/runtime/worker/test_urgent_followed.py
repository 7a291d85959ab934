"""A task whose state is kept may be urgent, too."""

from my_celery_project.queues import URGENT, QueueName
from my_celery_project.runtime.tasks import followed
from my_celery_project.runtime.testing.servers import wait_until
from my_celery_project.tasks.heartbeat import beat


def test_a_task_whose_state_is_kept(runs: list[tuple[str, str]]) -> None:
    followed.send(beat, {}, headers=URGENT)
    wait_until(lambda: runs)
    assert runs == [(beat.name, QueueName.CRITICAL)]
