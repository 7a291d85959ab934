"""The deployment files agree with the Procfile, the queues, the time budget and `.env.example`."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from {{ cookiecutter.package_name }} import queues
from {{ cookiecutter.package_name }}.limits import BUDGET

ROOT = Path(__file__).parents[2]

#: How each kind of file says how long a worker has to stop, in seconds.
GRACE = re.compile(
    r"(?m)(?:stop_grace_period|TimeoutStopSec|stopwaitsecs|terminationGracePeriodSeconds)"
    r"[:=] ?(\d+)s?$"
)

#: A worker's command, however it is split into parts.
WORKER = re.compile(r"worker --hostname (\w+)@%h --queues ([\w,-]+) --pool (\S+) --concurrency")

#: A variable that is set, or read.
VARIABLE = re.compile(
    r"(?m)^\s*(?:- )?(?:name: )?([A-Z]+(?:_[A-Z]+)+)(?:=|:|$)|\$\{?([A-Z]+(?:_[A-Z]+)+)"
    r"|Environment=([A-Z]+(?:_[A-Z]+)+)="
)

#: Variables of servers and tools.
NOT_OURS = re.compile("POSTGRES_(?!PASSWORD)|RABBITMQ_(?!PASSWORD)|REDISCLI_|KEDA_")


def read() -> dict[str, str]:
    """Return everything that starts processes: the text of a file, or of a folder in `deploy`."""
    texts: dict[str, str] = defaultdict(str)
    files = [ROOT / "Procfile", *ROOT.glob("compose*"), *(ROOT / "deploy").rglob("*")]
    for path in sorted(file for file in files if file.is_file()):
        name = "/".join(path.relative_to(ROOT).parts[:2])
        texts[name] += path.read_text(encoding="utf-8") + "\n"
    return texts


def workers(text: str) -> dict[str, list[str]]:
    """Return the workers that a text starts, and the queues that each consumes."""
    words = re.sub(r"\s+(?:- )?", " ", re.sub("[\"']|,(?=\\s)", "", text)).replace("%%", "%")
    return {name: names.split(",") for name, names, _ in WORKER.findall(words)}


TEXTS = read()
DEPLOYMENTS = [name for name, text in TEXTS.items() if workers(text)]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_queue_has_a_consumer(name: str) -> None:
    consumed = [queue for names in workers(TEXTS[name]).values() for queue in names]
    for queue in queues.QueueName:
        assert queue in consumed, f"no worker of {name} consumes {queue}: add it to --queues of one"
    assert sorted(consumed) == sorted(queues.QueueName), f"{name} is not QueueName in queues.py"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_fleet_is_that_of_the_procfile(name: str) -> None:
    assert workers(TEXTS[name]) == workers(TEXTS["Procfile"]), f"{name} and Procfile differ"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_whatever_stops_a_worker_grants_the_time_budget(name: str) -> None:
    granted = set(map(int, GRACE.findall(TEXTS[name])))
    expected = set() if name == "Procfile" else {BUDGET.grace}
    assert granted == expected, f"{name} is not `grace` in limits.py"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_no_command_takes_the_log_level_away_from_its_variable(name: str) -> None:
    assert "--loglevel" not in TEXTS[name], f"{name}: set CELERY_WORKER_LOGLEVEL instead"


def test_the_probe_allows_what_the_time_budget_says() -> None:
    allowed = re.search(r"(?m)^allowed=(\d+)", TEXTS["deploy/alive"])
    assert allowed
    assert int(allowed[1]) == BUDGET.heartbeat_age, "deploy/alive is not heartbeat_age in limits.py"


@pytest.mark.parametrize("name", TEXTS)
def test_every_variable_is_in_the_example(name: str) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    known = set(re.findall(r"(?m)^(?:# )?([A-Z_]+)=", example))
    named = {"".join(groups) for groups in VARIABLE.findall(TEXTS[name])}
    unknown = {variable for variable in named if not NOT_OURS.match(variable)} - known
    assert not unknown, f"{name} names {unknown}: explain it in .env.example"
