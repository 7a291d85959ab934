import os
from pathlib import Path

import pytest
from celery.beat import Service

from my_celery_project.celery import app
from my_celery_project.config import (
    ConfigurationError,
)
from my_celery_project.runtime.beat import (
    schedule_file,
)


def test_beat_uses_it() -> None:
    assert app.conf.beat_scheduler == f"{schedule_file.__name__}:Scheduler"
    service = Service(app, scheduler_cls=app.conf.beat_scheduler, schedule_filename="schedule")
    assert isinstance(service.scheduler, schedule_file.Scheduler)
    service.scheduler.close()
    assert list(Path().glob("schedule*"))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("missing/schedule", "its folder does not exist"),
        ("file/schedule", "its folder does not exist"),
        ("folder", "it is a folder"),
    ],
)
def test_a_file_that_cannot_be_kept_ends_in_one_line(file: str, expected: str) -> None:
    Path("file").touch()
    Path("folder").mkdir()
    with pytest.raises(ConfigurationError) as error:
        schedule_file.Scheduler(app, schedule_filename=file)
    assert expected in str(error.value)
    assert file in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_written_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("folder").mkdir(mode=0o500)
    # root may write everywhere but on a file system that is read-only
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK)
    assert schedule_file.broken(Path("folder/schedule")) == "its folder is not writable"


def test_a_file_that_holds_something_else_is_not_deleted() -> None:
    notes = Path("notes")
    notes.write_text("of somebody")
    with pytest.raises(ConfigurationError, match="it is not a schedule of beat"):
        schedule_file.Scheduler(app, schedule_filename=str(notes))
    assert notes.read_text() == "of somebody"


def test_a_schedule_of_an_earlier_beat_and_an_empty_file_are_taken() -> None:
    Path("empty").touch()
    for name in ("schedule", "schedule", "empty"):
        schedule_file.Scheduler(app, schedule_filename=name).close()
