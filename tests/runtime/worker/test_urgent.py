"""A task that is sent as urgent runs on the critical queue, in whatever way it was sent."""

from collections.abc import Callable
from typing import Any

from celery import chain, group

from my_celery_project.celery import app
from my_celery_project.queues import (
    URGENT,
    QueueName,
)
from my_celery_project.runtime.errors import (
    TransientError,
)
from my_celery_project.runtime.tasks.base import (
    BaseTask,
)
from my_celery_project.runtime.testing.servers import wait_until
from my_celery_project.tasks.heartbeat import beat


@app.task(base=BaseTask, bind=True, name="tests.fail_once")
def fail_once(self: BaseTask) -> None:
    if self.request.retries == 0:
        raise self.retry(exc=TransientError("once"), countdown=0)


def test_a_shipped_task(run: Callable[..., Any], runs: list[tuple[str, str]]) -> None:
    run(beat)
    run(beat.s().set(headers=URGENT))
    assert runs == [(beat.name, QueueName.DEFAULT), (beat.name, QueueName.CRITICAL)]


def test_it_stays_urgent_when_it_is_tried_again(
    run: Callable[..., Any], runs: list[tuple[str, str]]
) -> None:
    assert run(fail_once.s().set(headers=URGENT)).state == "SUCCESS"
    assert runs == [(fail_once.name, QueueName.CRITICAL)] * 2


def test_each_part_of_a_chain_and_all_of_a_group(runs: list[tuple[str, str]]) -> None:
    chain(beat.s().set(headers=URGENT), fail_once.si(), beat.si().set(headers=URGENT))()
    wait_until(lambda: len(runs) == 4)
    assert [queue for _, queue in runs] == ["critical", "default", "default", "critical"]
    group(beat.s() for _ in range(3)).apply_async(headers=URGENT)
    wait_until(lambda: len(runs) == 7)
    assert [queue for _, queue in runs[4:]] == ["critical"] * 3
