import re
from collections.abc import Iterator
from typing import Any

import pytest

from my_celery_project import queues
from my_celery_project.celery import app
from my_celery_project.runtime.context import bind
from my_celery_project.runtime.redis import (
    settings,
    tenants,
)


@pytest.fixture(autouse=True)
def noisy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("APP_NOISY_TENANTS", "acme, globex,")
    for cached in (settings.load, tenants.noisy):
        cached.cache_clear()
    yield
    for cached in (settings.load, tenants.noisy):
        cached.cache_clear()


def route(tenant: str | None, **options: Any) -> tuple[str, object]:
    """Return where Celery would send a task of a tenant."""
    with bind(tenant=tenant):
        options = app.amqp.router.route(options, "heartbeat.beat")
    return options["queue"].name, options.get("priority")


@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_the_tasks_of_a_noisy_tenant_come_last_in_their_queue(tenant: str) -> None:
    assert route(tenant) == (queues.QueueName.DEFAULT, queues.Priority.LOW)


def route_by_a_name(name: str, *_: object, **__: object) -> str | None:
    """Be a router of the project."""
    return "cpu" if name == "heartbeat.beat" else None


@pytest.mark.parametrize(
    "router",
    [
        route_by_a_name,
        {"heartbeat.*": {"queue": "cpu"}},
        [(re.compile("heart.*"), {"queue": "cpu"})],
        f"{__name__}.route_by_a_name",
    ],
)
def test_the_routers_of_the_project_choose_the_queue(
    router: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy_tenants, *others = queues.ROUTES
    routes = (noisy_tenants, router, *others)
    monkeypatch.setitem(app.conf, "task_routes", routes)
    app.amqp.flush_routes()
    monkeypatch.setattr(app.amqp, "router", app.amqp.Router())
    assert route("acme") == ("cpu", queues.Priority.LOW)
    assert route("initech")[0] == "cpu"
    monkeypatch.undo()
    app.amqp.flush_routes()


def test_a_queue_that_the_caller_names_wins() -> None:
    with bind(tenant="acme"):
        low, normal = queues.Priority.LOW, queues.Priority.NORMAL
        for name, priority in (("io", low), ("critical", normal)):
            options = app.amqp.router.route({"queue": name}, "heartbeat.beat")
            assert (options["queue"].name, options.get("priority")) == (name, priority)


@pytest.mark.parametrize("tenant", [None, "initech"])
def test_others_stay_as_they_are(tenant: str | None) -> None:
    assert route(tenant) == (queues.QueueName.DEFAULT, queues.Priority.NORMAL)


def test_what_a_person_waits_for_stays_urgent() -> None:
    critical = (queues.QueueName.CRITICAL, queues.Priority.HIGH)
    for _ in range(2):  # routing one changes nothing for the next
        assert route("acme", headers=queues.URGENT) == critical
