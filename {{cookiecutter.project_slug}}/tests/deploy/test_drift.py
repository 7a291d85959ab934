"""The deployment files agree with the Procfile, the queues, the time budget and `.env.example`."""

import re
from pathlib import Path

import pytest

from {{ cookiecutter.package_name }} import queues
from {{ cookiecutter.package_name }}.limits import BUDGET
from {{ cookiecutter.package_name }}.runtime.testing import (
    deployment,
)

ROOT = Path(__file__).parents[2]
TEXTS = deployment.read(ROOT)
WORKERS = {name: found for name, text in TEXTS.items() if (found := deployment.workers(text))}


@pytest.mark.parametrize("name", WORKERS)
def test_every_queue_has_a_consumer(name: str) -> None:
    consumed = [queue for names in WORKERS[name].values() for queue in names]
    for queue in queues.QueueName:
        assert queue in consumed, f"no worker of {name} consumes {queue}: add it to --queues of one"
    assert sorted(consumed) == sorted(queues.QueueName), f"{name} is not QueueName in queues.py"


@pytest.mark.parametrize("name", WORKERS)
def test_the_fleet_is_that_of_the_procfile(name: str) -> None:
    assert WORKERS[name] == WORKERS["Procfile"], f"{name} and Procfile differ"


@pytest.mark.parametrize("name", WORKERS)
def test_whatever_stops_a_worker_grants_the_time_budget(name: str) -> None:
    expected = set() if name == "Procfile" else {BUDGET.grace}
    assert deployment.grace(TEXTS[name]) == expected, f"{name} is not `grace` in limits.py"


@pytest.mark.parametrize("name", WORKERS)
def test_no_command_takes_the_log_level_away_from_its_variable(name: str) -> None:
    assert "--loglevel" not in TEXTS[name], f"{name}: set CELERY_WORKER_LOGLEVEL instead"


def test_the_probe_allows_what_the_time_budget_says() -> None:
    allowed = re.search(r"(?m)^allowed=(\d+)", TEXTS["deploy/alive"])
    assert allowed
    assert int(allowed[1]) == BUDGET.heartbeat_age, "deploy/alive is not heartbeat_age in limits.py"


@pytest.mark.parametrize("name", TEXTS)
def test_every_variable_is_in_the_example(name: str) -> None:
    unknown = deployment.variables(TEXTS[name]) - deployment.explained(ROOT)
    assert not unknown, f"{name} names {unknown}: explain it in .env.example"
