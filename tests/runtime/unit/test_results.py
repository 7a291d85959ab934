import pickle
from datetime import timedelta

import pytest
from sqlalchemy import exc, inspect

from my_celery_project import config
from my_celery_project.celery import app, create_app
from my_celery_project.runtime.sql import (
    database,
    results,
)


@pytest.fixture
def backend(tables: None) -> results.Results:
    """Return a result backend as a process has it."""
    return results.Results(app=app)


def test_results_are_in_the_database_unless_a_setting_says_otherwise() -> None:
    settings = config.Base(broker_url="memory://")
    assert isinstance(create_app(settings).backend, results.Results)


def test_a_result_is_read_by_another_process(backend: results.Results) -> None:
    backend.store_result("7", {"percent": 50.0}, "PROGRESS")
    reader = pickle.loads(pickle.dumps(backend))  # noqa: S301
    assert reader.get_task_meta("7")["result"] == {"percent": 50.0}
    backend.store_result("7", ["rows", 3], "SUCCESS")
    assert reader.get_task_meta("7")["result"] == ["rows", 3]
    assert reader.get_state("8") == "PENDING"


def test_what_has_expired_is_deleted(tables: None) -> None:
    backend = results.Results(app=app, expires=timedelta(seconds=-1))
    backend.store_result("7", "old", "SUCCESS")
    backend.cleanup()
    assert results.Results(app=app).get_state("7") == "PENDING"


def test_tables_are_made_by_migrations_alone(empty_folder: None) -> None:
    backend = results.Results(app=app)
    with pytest.raises(exc.ProgrammingError):
        backend.store_result("7", "result", "SUCCESS")
    assert inspect(database.engine()).get_table_names() == []
    database.engine.close()


@pytest.mark.parametrize("end", ["SUCCESS", "FAILURE"])
def test_a_late_word_of_a_retry_does_not_undo_the_end(end: str, backend: results.Results) -> None:
    backend.store_result("7", ValueError("on purpose"), "RETRY")
    assert results.Results(app=app).get_state("7") == "RETRY"
    backend.store_result("7", KeyError("on purpose") if end == "FAILURE" else "done", end)
    backend.store_result("7", ValueError("on purpose"), "RETRY")
    assert results.Results(app=app).get_state("7") == end
