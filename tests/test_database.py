"""Generated projects on a real PostgreSQL: connections, results, and an outbox while the broker is away."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from conftest import NEWEST, Copied, Installed
from load import durable_rabbitmq, durable_redis
from servers import PATIENCE, Fleet, PostgreSQL, Project, redis_server, wait_until
from support import UV, pythons, run
from variants import Answers, options

TABLE = """
CREATE TABLE effect (number integer PRIMARY KEY, process integer, backend integer,
                     began double precision, ended double precision)
"""

#: Connections of a project that are open now.
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'my_celery_project'"

TASKS = 2000
CONCURRENCY = 4


def migrated(project: Project, postgresql: PostgreSQL, name: str) -> str:
    """Return the URL of a database with the tables of a project, and one for the effects of tasks."""
    url = postgresql.create(name)
    alembic = str(project.environment / "bin" / "alembic")
    run([alembic, "upgrade", "heads"], project.folder, DATABASE_URL=url, APP_ENV="development")
    postgresql.query(url, TABLE)
    return url


Started = Callable[..., tuple[Fleet, str]]


@pytest.fixture
def started(installed: Installed, postgresql: PostgreSQL, tmp_path: Path) -> Iterator[Started]:
    """Return a function that gives a fleet without processes, on a Redis and a database of its own."""
    fleets = []
    with redis_server(tmp_path, NEWEST) as redis:

        def start(answers: Answers, **variables: str) -> tuple[Fleet, str]:
            project = installed({"database": "postgresql", **answers})
            url = migrated(project, postgresql, f"test_{time.monotonic_ns()}")
            include = {"CELERY_WORKER_INCLUDE": "probe,rows", "DATABASE_URL": url}
            fleets.append(Fleet(project, tmp_path, redis, **include, **variables))
            return fleets[-1], url

        yield start
        for fleet in fleets:
            fleet.close()


@pytest.mark.parametrize("pool", options()["pool"])
def test_two_thousand_tasks_share_no_connection_and_leave_none(
    pool: str, started: Started, postgresql: PostgreSQL, summary: Callable[[str], None]
) -> None:
    fleet, url = started({"pool": pool}, GENERAL_CONCURRENCY=str(CONCURRENCY))
    processes, at_once = {"prefork": (CONCURRENCY, 1), "solo": (1, 1)}.get(pool, (1, CONCURRENCY))
    limit = processes * (at_once + 1)
    fleet.start("general")
    for number in range(TASKS):
        fleet.ask("send", "rows.leave", [number], {}, {})
    most = 0

    def ended() -> bool:
        nonlocal most
        most = max(most, int(postgresql.query(url, OPEN)[0][0]))
        return len(fleet.seen(event="end", task="rows.leave")) == TASKS

    fleet.wait(ended, "all tasks end", 4 * PATIENCE)
    states = Counter(entry["state"] for entry in fleet.seen(event="end", task="rows.leave"))
    assert states == {"SUCCESS": TASKS * 9 // 10, "FAILURE": TASKS // 10}, fleet.tails()
    rows = postgresql.query(url, "SELECT * FROM effect ORDER BY began")
    assert sorted(int(row[0]) for row in rows) == [number for number in range(TASKS) if number % 10 != 9]
    owners, until = defaultdict[str, set[str]](set), defaultdict[str, float](float)
    for _, process, backend, began, end in rows:
        owners[backend].add(process)
        assert float(began) >= until[backend], f"two tasks had connection {backend} at once"
        until[backend] = float(end)
    assert all(len(processes) == 1 for processes in owners.values()), owners
    assert len(set.union(*owners.values())) == processes
    assert at_once <= most <= limit
    fleet.stop("general")
    wait_until(lambda: postgresql.query(url, OPEN) == [["0"]], "no connection is left")
    summary(f"PostgreSQL under {pool}: {TASKS} tasks, at most {most} of {limit} connections, 0 left")


@pytest.mark.parametrize("pool", ["gevent", "eventlet"])
def test_greenlets_go_on_while_others_wait_for_the_database(pool: str, started: Started) -> None:
    fleet, _ = started({"pool": pool}, GENERAL_CONCURRENCY="20")
    fleet.start("general")
    fleet.ask("send", "rows.leave", [0], {}, {})  # the first one of a process imports and connects
    fleet.wait(lambda: fleet.seen(event="end", task="rows.leave"), "a first task ends")
    for number in range(10, 30):
        fleet.ask("send", "rows.leave", [number * 10, 1.0], {}, {})
    fleet.wait(lambda: len(fleet.seen(event="end", task="rows.leave")) == 21, "all tasks end")
    starts = [entry["time"] for entry in fleet.seen(event="start", task="rows.leave")][1:]
    ends = [entry["time"] for entry in fleet.seen(event="end", task="rows.leave")][1:]
    assert max(ends) - min(starts) < 10, "20 tasks that wait for a second each wait one after the other"


def test_the_connections_of_a_killed_worker_end_and_its_transaction_is_undone(
    started: Started, postgresql: PostgreSQL
) -> None:
    fleet, url = started({}, GENERAL_CONCURRENCY="1")
    fleet.start_general("one")
    fleet.ask("send", "rows.leave", [1, 2.0], {}, {})
    fleet.wait(lambda: postgresql.query(url, OPEN) != [["0"]], "the task has a connection")
    fleet.kill("one")
    wait_until(lambda: postgresql.query(url, OPEN) == [["0"]], "no connection is left")
    assert postgresql.query(url, "SELECT number FROM effect") == []


def test_a_cut_connection_is_replaced(started: Started, postgresql: PostgreSQL) -> None:
    fleet, url = started({}, GENERAL_CONCURRENCY="1")
    fleet.start("general")
    for number in range(5):
        fleet.ends(fleet.send("rows.leave", number))
        postgresql.query(url, OPEN.replace("count(*)", "pg_terminate_backend(pid)"))
    states = {entry["state"] for entry in fleet.seen(event="end", task="rows.leave")}
    assert states == {"SUCCESS"}, fleet.tails()


@pytest.mark.parametrize("broker", options()["broker"])
def test_what_is_committed_while_the_broker_is_away_runs_once(
    broker: str, installed: Installed, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    project = installed({"database": "postgresql", "broker": broker, "result_backend": "none"})
    url = migrated(project, postgresql, f"outbox_{broker}")
    config = project.folder / "deploy" / "rabbitmq.conf"
    with durable_rabbitmq(config) if broker == "rabbitmq" else durable_redis() as server:
        place = {"rabbitmq": f"amqp://guest:guest@127.0.0.1:{server.port}//"}
        variables = {
            "CELERY_BROKER_URL": place.get(broker, f"redis://127.0.0.1:{server.port}/0"),
            "CELERY_WORKER_INCLUDE": "probe,rows",
            "DATABASE_URL": url,
        }
        fleet = Fleet(project, tmp_path, "", **variables)
        try:
            fleet.start("general", "beat")
            server.kill()
            ids = fleet.ask("put_in_outbox", "rows.leave", 0, 500)
            assert postgresql.query(url, "SELECT count(*) FROM outbox") == [["500"]]
            server.start()
            fleet.start_general("second")
            for _ in range(4):  # besides those of beat
                fleet.send("outbox.relay")
            fleet.wait(lambda: len(fleet.seen(event="end", task="rows.leave")) >= 500, "all tasks end")
            time.sleep(6)  # another relay would have sent what is there twice
        finally:
            fleet.close()
    assert Counter(entry["id"] for entry in fleet.seen(event="start", task="rows.leave")) == Counter(ids)
    wait_until(lambda: postgresql.query(url, "SELECT count(*) FROM outbox") == [["0"]], "the outbox is empty")


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_results_in_the_database_are_seen_by_other_processes(
    pool: str, started: Started, postgresql: PostgreSQL, summary: Callable[[str], None]
) -> None:
    fleet, url = started({"result_backend": "database", "pool": pool}, GENERAL_CONCURRENCY=str(CONCURRENCY))
    assert fleet.ask("look", "00000000-0000-0000-0000-000000000000") == ["PENDING", "None"]
    fleet.start("general")
    reported = fleet.send("rows.report", 2)
    fleet.wait(lambda: fleet.ask("look", reported) == ["PROGRESS", {"percent": 50.0}], "the progress is seen")
    fleet.wait(lambda: fleet.ask("look", reported) == ["SUCCESS", "done"], "the result is seen")
    sent = time.time()
    body = fleet.ask("gather", 100)
    fleet.wait(lambda: fleet.ask("look", body)[0] == "SUCCESS", "the chord ends")
    result = fleet.ask("look", body)[1]
    last = max(entry["time"] for entry in fleet.seen(event="end", task="rows.put"))
    assert result["sum"] == sum(range(100))
    summary(
        f"A chord of 100 parts, results in PostgreSQL, {pool}: parts end after {last - sent:.1f} s,"
        f" its body {result['time'] - last:.1f} s later"
    )
    limit = {"prefork": 2 * (CONCURRENCY + 1), "threads": CONCURRENCY + 1}[pool] + 2  # the publisher has some
    assert int(postgresql.query(url, OPEN)[0][0]) <= limit


def test_a_task_and_its_result_wait_for_a_database_that_is_away(started: Started, postgresql: PostgreSQL) -> None:
    fleet, url = started({"result_backend": "database"}, GENERAL_CONCURRENCY="2")
    fleet.start("general")
    reported = fleet.send("rows.report", 2)
    fleet.wait(lambda: fleet.ask("look", reported)[0] == "PROGRESS", "the task runs")
    with postgresql.away(url):
        row = fleet.send("rows.leave", 1)
        fleet.wait(lambda: fleet.seen(event="retry", id=row), "the other task is tried again")
        time.sleep(6)
    fleet.wait(lambda: fleet.ask("look", reported) == ["SUCCESS", "done"], "the result is kept")
    fleet.ends(row)
    assert postgresql.query(url, "SELECT number FROM effect") == [["1"]]


RESULTS = ["database", "redis"]


@pytest.mark.parametrize("results", RESULTS)
def test_the_tests_of_a_project_pass_on_postgresql(
    results: str, copied: Copied, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    project = copied({"database": "postgresql", "result_backend": results}, tmp_path)
    command = [
        *UV,
        "run",
        "--python",
        list(pythons().values())[-1],
        "pytest",
        "--cov",
        "-m",
        "",
        "tests/unit",
        "tests/worker",
    ]
    output = run(command, project, TEST_DATABASE_URL=postgresql.create(f"own_{results}"), CI="true")
    assert "Required test coverage" in output
    assert re.search(r"= \d+ passed in", output), output  # none is skipped


#: Rows of a database that a project made when all of its revisions were one line, by revision and table.
EARLIER = {
    "outbox": {"outbox": "(task_id, message, created_at) VALUES ('7', '{}', '2026-03-29 00:30:00+00:00')"},
    "dead_letters": {"dead_letter": "VALUES ('7', '2026-03-29', '{}', NULL)"},
    "results": {
        "celery_taskmeta": "(task_id, status) VALUES ('7', 'SUCCESS')",
        "celery_tasksetmeta": "(taskset_id) VALUES ('8')",
    },
    "payments": {
        "account": "(email, balance) VALUES ('ann@example.com', 700)",
        "payment": "VALUES ('order-7', 1, 300, '2026-03-29 00:30:00+00:00')",
    },
}

OWN_REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "own"
down_revision = "{after}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("own", sa.Column("id", sa.Integer(), nullable=False, primary_key=True))


def downgrade() -> None:
    op.drop_table("own")
"""

Execute = Callable[[str], list[list[str]]]


@pytest.fixture(params=["sqlite", "postgresql"])
def earlier(request: pytest.FixtureRequest, postgresql: PostgreSQL, tmp_path: Path) -> tuple[str, str, Execute]:
    """Return an empty database: its dialect, its URL, and what runs statements there."""
    if request.param == "postgresql":
        url = postgresql.create(f"earlier_{time.monotonic_ns()}")
        return request.param, url, lambda statement: postgresql.query(url, statement)

    def execute(statements: str) -> list[list[str]]:
        with closing(sqlite3.connect(tmp_path / "earlier.sqlite")) as database:
            if statements.startswith("SELECT"):
                return [list(map(str, row)) for row in database.execute(statements)]
            database.executescript(statements)
            return []

    return request.param, f"sqlite:///{tmp_path / 'earlier.sqlite'}", execute


@pytest.mark.parametrize(
    ("answers", "line", "heads"),
    [
        ({}, ["outbox"], {"own"}),
        (
            {"broker": "rabbitmq", "result_backend": "database", "examples": "all"},
            ["outbox", "dead_letters", "results", "payments"],
            {"dead_letters", "results", "own"},
        ),
    ],
)
def test_a_database_from_before_the_branch_of_the_runtime_keeps_its_rows(
    answers: Answers,
    line: list[str],
    heads: set[str],
    installed: Installed,
    earlier: tuple[str, str, Execute],
    tmp_path: Path,
) -> None:
    dialect, url, execute = earlier
    dump = (Path(__file__).parent / "one_line" / f"{dialect}.sql").read_text("utf-8")
    statements = dict(re.findall(r"(?ms)^-- revision (\w+)\n(.+?)(?=^-- |\Z)", dump))
    execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    tables = {table: row for revision in line for table, row in EARLIER[revision].items()}
    for revision in line:
        execute(statements[revision])
    for table, row in tables.items():
        execute(f"INSERT INTO {table} {row}")
    execute("CREATE TABLE own (id INTEGER NOT NULL PRIMARY KEY); INSERT INTO own VALUES (7)")
    execute("INSERT INTO alembic_version VALUES ('own')")

    def state() -> dict[str, list[list[str]]]:
        return {table: execute(f"SELECT * FROM {table}") for table in (*tables, "own")}  # noqa: S608

    before = state()
    assert all(len(rows) == 1 for rows in before.values())

    project = installed({"database": "postgresql", **answers})
    folder = tmp_path / "project"
    shutil.copytree(project.folder, folder)
    package = folder / "src" / project.package
    versions = package / "migrations" / "versions"
    versions.mkdir(exist_ok=True)
    (versions / "own.py").write_text(OWN_REVISION.format(after=line[-1]), "utf-8")
    with (package / "models.py").open("a", encoding="utf-8") as models:
        models.write('\nsa.Table("own", Base.metadata, sa.Column("id", sa.Integer, primary_key=True))\n')
    settings = folder / "pyproject.toml"  # Ruff, which formats new revisions, is not installed here
    without_hooks = settings.read_text("utf-8").replace("[tool.alembic.post_write_hooks]", "[tool.unused]")
    settings.write_text(without_hooks, "utf-8")

    def alembic(*words: str) -> str:
        command = [str(project.environment / "bin" / "alembic"), *words]
        return run(command, folder, DATABASE_URL=url, APP_ENV="development", PYTHONPATH=str(folder / "src"))

    for _ in range(2):
        alembic("upgrade", "heads")
        assert state() == before
        assert {version for (version,) in execute("SELECT version_num FROM alembic_version")} == heads
    assert "No new upgrade operations" in alembic("check")
    alembic("revision", "--autogenerate", "-m", "next")
    (new,) = versions.glob("*_next.py")
    text = new.read_text("utf-8")
    assert "down_revision = 'own'" in text
    assert "op." not in text
    alembic("upgrade", "heads")
    assert state() == before
