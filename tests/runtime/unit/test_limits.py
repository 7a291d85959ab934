import gc
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from celery.worker import state

from my_celery_project import config
from my_celery_project.celery import create_app
from my_celery_project.limits import BUDGET
from my_celery_project.runtime import budget
from my_celery_project.runtime.config.annotations import (
    Annotation,
    Annotations,
)
from my_celery_project.runtime.worker import (
    checks,
    pools,
    prefork,
)


def nothing() -> None:
    """Be the body of a task."""


def worker(pool: str, lease: float) -> SimpleNamespace:
    """Stand for the worker at the moment when it checks itself."""
    app = create_app(config.load())
    app.conf.task_soft_time_limit, app.conf.task_time_limit = BUDGET.soft, BUDGET.hard
    app.conf.broker_heartbeat = lease
    app.conf.broker_transport_options = {"visibility_timeout": lease}
    # Only the name of its module counts; the library of a greenlet pool may not be installed.
    pool_class = type("TaskPool", (), {"__module__": f"celery.concurrency.{pool}"})
    return SimpleNamespace(
        app=app,
        concurrency=8,
        options={},
        pool_cls=pool_class,
        prefetch_multiplier=1,
        soft_time_limit=None,
        task_events=False,
        time_limit=None,
    )


@pytest.mark.parametrize("pool", ["prefork", "thread", "solo"])
def test_the_shipped_time_budget_holds(pool: str) -> None:
    lease = BUDGET.hard + 1 if pool == "solo" else BUDGET.lease
    checks.StartupChecks(worker(pool, lease))


def test_a_solo_worker_refuses_a_short_lease() -> None:
    with pytest.raises(config.ConfigurationError, match="must exceed the hard time limit"):
        checks.StartupChecks(worker("solo", BUDGET.hard))


@pytest.mark.parametrize("pool", sorted(pools.GREENLET_POOLS))
def test_a_greenlet_pool_must_be_named_on_the_command_line(
    pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "is_patched", lambda pool: False)
    with pytest.raises(config.ConfigurationError, match=f"--pool {pool}"):
        checks.StartupChecks(worker(pool, BUDGET.lease))


@pytest.mark.parametrize(("pool", "rounds"), [("gevent", 2), ("eventlet", 2), ("prefork", 1)])
def test_a_greenlet_worker_takes_a_second_round_ahead(
    pool: str, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "is_patched", lambda pool: True)
    starting = worker(pool, BUDGET.lease)
    checks.StartupChecks(starting)
    assert starting.prefetch_multiplier == rounds


@pytest.mark.parametrize("task_events", [True, False])
def test_heartbeats_and_gossip_are_sent_only_with_task_events(task_events: bool) -> None:
    starting = worker("prefork", BUDGET.lease)
    starting.task_events = task_events
    checks.StartupChecks(starting)
    assert bool(starting.options) is not task_events


LEASE = budget.Lease(30, "lease", "CELERY_LEASE")


@pytest.mark.parametrize(
    ("soft", "hard", "grace"), [(10, 10, 20), (20, 10, 30), (0, 10, 20), (5, 10, 10)]
)
def test_a_broken_time_budget_is_named(soft: float, hard: float, grace: float) -> None:
    assert "must be below" in str(budget.broken(soft, hard, grace, LEASE))


def test_a_lease_that_is_too_short_for_solo_is_named_by_its_variable() -> None:
    sentence = str(budget.broken(20, 30, 40, LEASE, "solo"))
    assert "the lease (30 s) must exceed the hard time limit (30 s)" in sentence
    assert "change CELERY_LEASE or CELERY_TASK_TIME_LIMIT" in sentence
    assert budget.broken(20, 29, 40, LEASE, "solo") is None
    assert budget.broken(20, 30, 40, LEASE, "prefork") is None


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"time_limit": BUDGET.grace}, "must be below the shutdown grace"),
        ({"soft_time_limit": BUDGET.hard}, "must be below the hard one"),
        ({"soft_time_limit": 20, "time_limit": 10}, "must be below the hard one"),
    ],
)
@pytest.mark.parametrize("where", ["decorator", "annotation"])
def test_the_limits_of_a_task_are_compared_by_its_name(
    own: dict[str, float], expected: str, where: str
) -> None:
    starting = worker("prefork", BUDGET.lease)
    if where == "annotation":
        rows = {"tests.lengthy": Annotation.model_validate(own)}
        starting.app.conf.task_annotations = (Annotations(rows),)
        own = {}
    starting.app.task(shared=False, name="tests.lengthy", **own)(nothing)
    with pytest.raises(config.ConfigurationError, match=expected) as error:
        checks.StartupChecks(starting)
    assert "task 'tests.lengthy': " in str(error.value)
    assert "\n" not in str(error.value)


def test_a_task_may_have_a_shorter_time_limit_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", checks.logger.name)  # a worker of another test may have raised it
    starting = worker("prefork", BUDGET.lease)
    starting.app.task(shared=False, name="tests.short", time_limit=10)(nothing)
    checks.StartupChecks(starting)
    assert "Task tests.short is killed by its time limit (10 s) before" in caplog.text


def test_an_annotation_of_no_task_is_refused() -> None:
    starting = worker("prefork", BUDGET.lease)
    rows = {"*": Annotation(acks_late=True), "tests.lenghty": Annotation(time_limit=10)}
    starting.app.conf.task_annotations = (Annotations(rows),)
    starting.app.task(shared=False, name="tests.lengthy")(nothing)
    with pytest.raises(config.ConfigurationError, match=r"'tests.lenghty'.*tests\.lengthy"):
        checks.StartupChecks(starting)


def test_the_settings_win_over_the_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(current_app.conf, "task_soft_time_limit", 5.5)
    monkeypatch.setitem(current_app.conf, "task_time_limit", 6.5)
    assert budget.in_force() == budget.configured() == (5.5, 6.5)


class Job:
    """Stand for a task that a pool of processes has, as far as a flush sees it."""

    def __init__(self, process: object, ready: bool = False) -> None:
        self._write_to, self.ready = process, lambda: ready

    def _accept_callback(self) -> None:
        """Say that the task has started."""


def test_a_flush_spares_what_a_process_has_got(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, handed_over, ended = Job(None), Job("process"), Job("process", ready=True)
    processes: Any = object.__new__(prefork.Processes)
    processes._cache = {1: waiting, 2: handed_over, 3: ended}
    monkeypatch.setattr(prefork.AsynPool, "flush", lambda self: self._cache.clear())
    try:
        processes.flush()
        assert processes._cache == {2: handed_over}
        assert handed_over in state.active_requests
    finally:
        state.active_requests.discard(handed_over)


def test_a_pool_without_an_event_loop_has_no_flush() -> None:
    pool: Any = prefork.TaskPool(1, threads=True)
    pool.start()
    try:
        assert pool.flush is None
    finally:
        pool.terminate()


def test_processes_leave_what_they_share_out_of_every_garbage_collection() -> None:
    options: Any = {"initargs": (create_app(config.load()), "general@test")}
    pool: Any = prefork.TaskPool(1, threads=True, **options)
    pool.start()
    try:
        assert pool._pool.apply_async(gc.get_freeze_count).get(timeout=60) > 10_000
    finally:
        pool.terminate()
        gc.unfreeze()
