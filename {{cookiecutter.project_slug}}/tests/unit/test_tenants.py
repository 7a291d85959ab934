from collections.abc import Iterator
from typing import Any

import pytest

from {{ cookiecutter.package_name }} import queues, tenants
from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.context import bind


@pytest.fixture(autouse=True)
def noisy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("APP_NOISY_TENANTS", "acme, globex,")
    tenants.noisy.cache_clear()
    yield
    tenants.noisy.cache_clear()


def route(tenant: str | None, **options: Any) -> tuple[str, object]:
    """Return where Celery would send a task of a tenant."""
    with bind(tenant=tenant):
        options = app.amqp.router.route(options, "heartbeat.beat")
    return options["queue"].name, options["priority"]


@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_the_tasks_of_a_noisy_tenant_come_last_in_their_queue(tenant: str) -> None:
    assert route(tenant) == (queues.QueueName.DEFAULT, queues.Priority.LOW)


@pytest.mark.parametrize("tenant", [None, "initech"])
def test_others_stay_as_they_are(tenant: str | None) -> None:
    assert route(tenant) == (queues.QueueName.DEFAULT, queues.Priority.NORMAL)


def test_what_a_person_waits_for_stays_urgent() -> None:
    critical = (queues.QueueName.CRITICAL, queues.Priority.HIGH)
    for _ in range(2):  # routing one changes nothing for the next
        assert route("acme", headers=queues.URGENT) == critical
