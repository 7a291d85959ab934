"""A task that is sent as urgent runs on the critical queue, in whatever way it was sent."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import chain, group
from celery.signals import task_prerun

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.queues import (
    URGENT,
    QueueName,
)
from {{ cookiecutter.package_name }}.runtime.errors import (
    TransientError,
)
{% if cookiecutter.__sql %}
from {{ cookiecutter.package_name }}.runtime.sql import (
    database,
    outbox,
)
{% endif %}
{% if cookiecutter.__followed %}
from {{ cookiecutter.package_name }}.runtime.tasks import followed
{% endif %}
from {{ cookiecutter.package_name }}.runtime.tasks.base import (
    BaseTask,
)
from {{ cookiecutter.package_name }}.tasks.heartbeat import beat

#: Where each run took place: name of the task and its queue.
Runs = list[tuple[str, str]]


@app.task(base=BaseTask, bind=True, name="tests.fail_once")
def fail_once(self: BaseTask) -> None:
    if self.request.retries == 0:
        raise self.retry(exc=TransientError("once"), countdown=0)


@pytest.fixture
def runs(worker: None) -> Iterator[Runs]:
    """Note every run from now on."""
    found: Runs = []

    def note(task: Any, **_: Any) -> None:
        found.append((task.name, task.request.delivery_info["routing_key"]))

    task_prerun.connect(note)
    yield found
    task_prerun.disconnect(note)


def wait_for(runs: Runs, number: int) -> None:
    """Wait until there were so many runs."""
    deadline = time.monotonic() + 20
    while len(runs) < number:
        assert time.monotonic() < deadline, runs
        time.sleep(0.01)


def test_a_shipped_task(run: Callable[..., Any], runs: Runs) -> None:
    run(beat)
    run(beat.s().set(headers=URGENT))
    assert runs == [(beat.name, QueueName.DEFAULT), (beat.name, QueueName.CRITICAL)]


def test_it_stays_urgent_when_it_is_tried_again(run: Callable[..., Any], runs: Runs) -> None:
    assert run(fail_once.s().set(headers=URGENT)).state == "SUCCESS"
    assert runs == [(fail_once.name, QueueName.CRITICAL)] * 2


def test_each_part_of_a_chain_and_all_of_a_group(runs: Runs) -> None:
    chain(beat.s().set(headers=URGENT), fail_once.si(), beat.si().set(headers=URGENT))()
    wait_for(runs, 4)
    assert [queue for _, queue in runs] == ["critical", "default", "default", "critical"]
    group(beat.s() for _ in range(3)).apply_async(headers=URGENT)
    wait_for(runs, 7)
    assert [queue for _, queue in runs[4:]] == ["critical"] * 3
{% if cookiecutter.__followed %}


def test_a_task_whose_state_is_kept(runs: Runs) -> None:
    followed.send(beat, {}, headers=URGENT)
    wait_for(runs, 1)
    assert runs == [(beat.name, QueueName.CRITICAL)]
{% endif %}
{% if cookiecutter.__sql %}


@pytest.mark.usefixtures("tables")
def test_a_task_of_the_outbox(runs: Runs) -> None:
    with database.session() as session:
        outbox.add(session, beat.s().set(headers=URGENT))
    with database.session() as session:
        assert outbox.send_batch(app, session) == 1
    wait_for(runs, 1)
    assert runs == [(beat.name, QueueName.CRITICAL)]
{% endif %}
