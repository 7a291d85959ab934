import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from host import DATABASE, HAS_POSTGRESQL
from sqlalchemy import exc, func, select, text

from my_celery_project import config
from my_celery_project.celery import app
from my_celery_project.runtime.sql import (
    database,
    postgresql,
    settings,
)
from my_celery_project.runtime.sql.outbox import (
    OutboxMessage,
)
from my_celery_project.tasks import heartbeat

URL = DATABASE

#: A production of several machines cannot share a file.
FILE = [({"APP_ENV": "production", "DATABASE_URL": "sqlite:////app.sqlite"}, "one machine only")]
ONLY_SERVERS = {"connect_timeout", "statement_timeout"}


@pytest.fixture
def numbered(tables: None) -> None:
    """Have a row that holds a number."""
    with database.session() as session:
        session.add(OutboxMessage(task_id="counter", message="0"))


def counter() -> str:
    """Return the number, as another session sees it."""
    with database.session() as session:
        return session.scalars(select(OutboxMessage.message)).one()


def test_a_block_is_one_transaction(tables: None) -> None:
    with database.session() as session:
        session.add(OutboxMessage(task_id="kept", message="{}"))

    def fail() -> None:
        with database.session() as session:
            session.add(OutboxMessage(task_id="undone", message="{}"))
            session.flush()
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    with database.session() as session:
        assert session.scalars(select(OutboxMessage.task_id)).all() == ["kept"]


def test_what_was_read_stays_readable_and_times_are_in_utc(numbered: None) -> None:
    with database.session() as session:
        row = session.scalars(select(OutboxMessage)).one()
    assert row.task_id == "counter"
    assert row.created_at.tzname() == "UTC"


def test_two_that_read_and_then_write_do_so_one_after_the_other(numbered: None) -> None:
    def increment(_: int) -> None:
        with database.session() as session:
            row = session.scalars(select(OutboxMessage).with_for_update()).one()
            row.message = str(int(row.message) + 1)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(increment, range(60)))
    assert counter() == "60"


def test_a_mistake_is_no_reason_to_try_again(tables: None) -> None:
    with pytest.raises(exc.ProgrammingError), database.session() as session:
        session.execute(text("SELECT nothing FROM nowhere"))


def test_no_more_connections_than_tasks_and_one(
    tables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_POOL_TIMEOUT", "0.1")
    monkeypatch.setattr(database, "tasks_at_once", 2)
    with ThreadPoolExecutor(3) as threads:
        full, over = threading.Barrier(4), threading.Event()

        def hold(_: int) -> None:
            with database.engine().connect():
                full.wait(10)
                over.wait(10)

        held = threads.map(hold, range(3))
        full.wait(10)
        with pytest.raises(exc.TimeoutError), database.engine().connect():
            pass
        over.set()
        list(held)
    with database.session() as session:
        assert session.scalar(select(func.count()).select_from(OutboxMessage)) == 0


@pytest.mark.parametrize(
    ("pool", "expected"),
    [("prefork", 1), ("solo", 1), ("threads", 8), ("gevent", 8), ("eventlet", 8)],
)
def test_a_worker_has_a_connection_for_each_task_of_a_process(
    pool: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "tasks_at_once", 5)
    database.prepare(pool, 8)
    assert database.tasks_at_once == expected


def test_a_thread_that_imported_nothing_connects_for_the_same_app() -> None:
    with ThreadPoolExecutor(1) as threads:
        arguments = threads.submit(postgresql.arguments, settings.Database()).result()
    assert arguments == postgresql.arguments(settings.Database())


def test_a_server_is_told_the_limits_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.conf, "task_soft_time_limit", 5)
    monkeypatch.setitem(app.conf, "task_time_limit", 6)
    monkeypatch.setattr(heartbeat.beat, "time_limit", 320)
    arguments = postgresql.arguments(settings.Database())
    assert arguments["application_name"] == app.main
    assert "statement_timeout=5000 " in arguments["options"]
    assert "idle_in_transaction_session_timeout=320000" in arguments["options"]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "load", settings.load.__wrapped__)


def test_a_worker_does_not_start_with_wrong_settings(
    fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "tasks_at_once", 5)
    monkeypatch.setenv("APP_ENV", "production")
    with pytest.raises(config.ConfigurationError, match="DATABASE_URL is not set"):
        database.prepare("prefork", 8)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DATABASE_URL": "mysql://app:s3cr3t@localhost/app"}, "DATABASE_URL is refused: use one"),
        ({"DATABASE_URL": "s3cr3t"}, "DATABASE_URL is not a valid URL"),
        ({"DATABASE_URL": "sqlite://"}, "in memory"),
        ({"DATABASE_POOL_SIZE": "many"}, "DATABASE_POOL_SIZE='many' is wrong"),
        ({"DATABASE_URL_FILE": "/no/such/file"}, "cannot be read"),
        ({"APP_ENV": "production"}, "DATABASE_URL is not set"),
        ({"APP_ENV": "staging"}, "DATABASE_URL is not set"),
        *(FILE if HAS_POSTGRESQL else ()),
        (
            {
                "APP_ENV": "production",
                "DATABASE_URL": "postgresql://app:Postgres@localhost/s3cr3t",
            },
            "DATABASE_URL is refused",
        ),
    ],
)
def test_a_wrong_variable_ends_in_one_line(
    variables: dict[str, str], expected: str, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(config.ConfigurationError) as error:
        settings.load()
    assert expected in str(error.value)
    assert "s3cr3t" not in str(error.value)
    assert "\n" not in str(error.value)


def test_the_url_can_come_from_a_file(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "url"
    secret.write_text(f"{URL}\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(secret))
    monkeypatch.setenv("APP_ENV", "production")
    assert settings.load().url == URL


def test_the_example_env_file_names_every_setting(request: pytest.FixtureRequest) -> None:
    example = (request.config.rootpath / ".env.example").read_text(encoding="utf-8")
    for field in settings.Database.model_fields.keys() - (
        set() if HAS_POSTGRESQL else ONLY_SERVERS
    ):
        assert f"\n# DATABASE_{field.upper()}=" in example
