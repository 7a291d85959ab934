from types import SimpleNamespace

import pytest
from celery import Celery
from celery.concurrency import get_implementation

from {{ cookiecutter.package_name }} import checks, config, limits


def worker(pool: str, visibility_timeout: float) -> SimpleNamespace:
    """Stand for the worker at the moment when it checks itself."""
    app = Celery(broker_url="redis://", set_as_current=False)
    app.conf.task_soft_time_limit, app.conf.task_time_limit = limits.SOFT_LIMIT, limits.HARD_LIMIT
    app.conf.broker_transport_options = {"visibility_timeout": visibility_timeout}
    pool_class = get_implementation(pool)
    return SimpleNamespace(app=app, pool_cls=pool_class, soft_time_limit=None, time_limit=None)


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_the_shipped_time_budget_holds(pool: str) -> None:
    timeout = limits.HARD_LIMIT + 1 if pool == "solo" else limits.VISIBILITY_TIMEOUT
    checks.StartupChecks(worker(pool, timeout))


def test_a_solo_worker_refuses_a_short_visibility_timeout() -> None:
    with pytest.raises(config.ConfigurationError, match="must exceed the hard time limit"):
        checks.StartupChecks(worker("solo", limits.HARD_LIMIT))


@pytest.mark.parametrize("pool", ["gevent", "eventlet"])
def test_a_greenlet_pool_must_be_named_on_the_command_line(pool: str) -> None:
    pytest.importorskip(pool)
    with pytest.raises(config.ConfigurationError, match=f"--pool {pool}"):
        checks.StartupChecks(worker(pool, limits.VISIBILITY_TIMEOUT))


@pytest.mark.parametrize(
    ("soft", "hard", "grace"), [(10, 10, 20), (20, 10, 30), (0, 10, 20), (5, 10, 10)]
)
def test_a_broken_time_budget_is_named(soft: float, hard: float, grace: float) -> None:
    assert "must be below" in str(limits.broken(soft, hard, grace, visibility_timeout=30))
