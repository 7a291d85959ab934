"""A task that fails for good is a dead letter, which is replayed once; with a real worker, on files."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.bin.base import CLIContext
from celery.signals import before_task_publish
from click.testing import CliRunner, Result
from kombu import Queue

from my_celery_project import config
from my_celery_project.celery import app
from my_celery_project.runtime import context
from my_celery_project.runtime.cli.dead_letters import (
    dead_letters as command,
)
from my_celery_project.runtime.errors import (
    PermanentError,
)
from my_celery_project.runtime.letters import (
    replay,
    retention,
    writing,
)
from my_celery_project.runtime.letters.files import (
    FOLDER,
    FileStore,
)
from my_celery_project.runtime.letters.letter import (
    PERIODIC_HEADER,
    DeadLetter,
    Reason,
    timestamp,
)
from my_celery_project.runtime.letters.store import (
    store_of,
)
from my_celery_project.runtime.logs.rendering import ENDED, formatter
from my_celery_project.runtime.tasks.base import (
    AtMostOnceTask,
    BaseTask,
)
from my_celery_project.runtime.testing.servers import wait_until

Run = Callable[..., Any]
WORKS: list[bool] = []
CALLS: list[tuple[Any, ...]] = []


@app.task(base=BaseTask, name="tests.fragile", bind=True)
def fragile(self: Any, *args: Any, **kwargs: Any) -> None:
    CALLS.append((args, kwargs, *context.current()))
    if not WORKS:
        raise PermanentError("on purpose")


@app.task(base=BaseTask, name="tests.transient", max_retries=2, retry_backoff=False)
def transient() -> None:
    CALLS.append(())
    raise ConnectionError("on purpose")


transient.default_retry_delay = 0


@app.task(base=AtMostOnceTask, name="tests.once")
def once() -> None:
    CALLS.append(())
    raise ConnectionError("on purpose")


@pytest.fixture(autouse=True)
def calls() -> Iterator[None]:
    CALLS.clear()
    WORKS.clear()
    yield
    CALLS.clear()
    WORKS.clear()


def celery(*arguments: str) -> Result:
    """Run a command as `celery -A ... dead-letters` does."""
    return CliRunner().invoke(command, arguments, obj=CLIContext(app, no_color=True, workdir=None))


def letters(number: int = 1) -> list[DeadLetter]:
    """Wait for so many letters."""

    def found() -> list[DeadLetter]:
        with store_of(app).open() as opened:
            return list(opened)

    wait_until(lambda: len(found()) >= number)
    assert len(found()) == number
    return found()


def failed(run: Run, *args: Any, **kwargs: Any) -> DeadLetter:
    """Run a task that fails and return its letter."""
    assert run(fragile, *args, **kwargs).state == "FAILURE"
    return letters()[0]


def test_a_letter_has_all_that_a_replay_needs(run: Run) -> None:
    with context.bind(correlation_id="request-7", tenant="acme"):
        letter = failed(run, 1, "é", due="today")
    assert (letter.task, letter.args, letter.kwargs) == (
        "tests.fragile",
        [1, "é"],
        {"due": "today"},
    )
    assert (letter.queue, letter.reason, letter.attempts) == ("default", Reason.FAILED, 1)
    assert (letter.error, letter.text) == ("PermanentError", "on purpose")
    assert "in fragile" in letter.traceback
    assert letter.headers[context.CORRELATION_ID_HEADER] == "request-7"
    assert letter.started_at is not None
    assert letter.started_at < letter.failed_at


def test_only_the_last_of_several_tries_is_a_letter(run: Run) -> None:
    assert run(transient).state == "FAILURE"
    assert (letters()[0].attempts, len(CALLS)) == (3, 3)


def test_a_task_that_must_not_run_twice_is_not_tried_again(run: Run) -> None:
    assert run(once).state == "FAILURE"
    assert (letters()[0].attempts, len(CALLS)) == (1, 1)


def test_a_letter_is_replayed_once(run: Run) -> None:
    with context.bind(correlation_id="request-7", tenant="acme"):
        letter = failed(run, 1, due="today")
    WORKS.append(True)
    sent = celery("replay", letter.id)
    assert sent.exit_code == 0
    wait_until(lambda: len(CALLS) >= 2)
    assert CALLS == [((1,), {"due": "today"}, "request-7", "acme")] * 2
    refused = celery("replay", letter.id)
    assert (refused.exit_code, len(CALLS)) == (1, 2)
    assert "was replayed at" in refused.output
    (replay,) = json.loads(celery("show", letter.id, "--json").output)["history"]
    assert replay["as_id"] in sent.output
    assert replay["by"]


def test_letters_are_listed_grouped_and_deleted_by_filters(run: Run) -> None:
    failed(run, 1)
    run(once)
    letters(2)
    assert len(json.loads(celery("list", "--json").output)) == 2
    (row,) = json.loads(celery("list", "--json", "--error", "Perm*").output)
    assert (row["task"], row["error"]) == ("tests.fragile", "PermanentError")
    assert json.loads(celery("list", "--json", "--since", "2099-01-01").output) == []
    assert len(json.loads(celery("list", "--json", "--limit", "1", "--offset", "1").output)) == 1
    assert "--offset 1" in celery("list", "--limit", "1").output
    assert {row["letters"] for row in json.loads(celery("group", "--json").output)} == {1}
    assert "1 deleted" in celery("purge", "--task", "tests.once", "--yes").output
    assert len(letters()) == 1
    assert celery("discard", row["id"]).exit_code == 0
    assert celery("discard", row["id"]).exit_code == 1
    assert letters(0) == []


def test_a_dry_run_sends_nothing(run: Run) -> None:
    failed(run, 1)
    assert "1 would be replayed" in celery("replay", "--all", "--dry-run").output
    assert letters()[0].history == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("replay",), "give either an ID, or filters, or --all"),
        (("purge", "--yes"), "give either an ID, or filters, or --all"),
        (("replay", "nobody"), "there is no dead letter nobody"),
        (("show", "nobody"), "there is no dead letter nobody"),
        (("replay", "--all", "--rate", "fast"), "use 50/s"),
        (("list", "--since", "yesterday"), "use 2026-01-31T12:00"),
    ],
)
def test_what_is_wrong_is_told(arguments: tuple[str, ...], told: str) -> None:
    result = celery(*arguments)
    assert result.exit_code
    assert told in result.output


def test_a_rate_is_kept(run: Run) -> None:
    store = store_of(app)
    for number in range(5):
        store.add(DeadLetter(str(number), "tests.fragile", Reason.FAILED, queue="default", args=[]))
    WORKS.append(True)
    start = time.monotonic()
    assert "5 replayed, 0 refused" in celery("replay", "--all", "--rate", "10/s").output
    assert 0.4 <= time.monotonic() - start < 5
    while len(CALLS) < 5 and time.monotonic() < start + 10:
        time.sleep(0.05)
    assert len(CALLS) == 5


@pytest.mark.parametrize(
    ("body", "content_type", "task", "reason"),
    [
        ("{broken", "application/json", "tests.fragile", Reason.UNREADABLE),
        ("7", "application/json", "tests.fragile", Reason.UNREADABLE),
        (
            "gASVBQAAAAAAAABLAUsChpQu",
            "application/x-python-serialize",
            "tests.fragile",
            Reason.UNREADABLE,
        ),
        ("[[7], {}, {}]", "application/json", "tests.nobody_knows", Reason.UNKNOWN_TASK),
        ("hello", "text/plain", None, Reason.UNREADABLE),
    ],
)
def test_a_message_that_is_no_task_is_a_letter_and_the_worker_goes_on(
    body: str, content_type: str, task: str | None, reason: Reason, run: Run
) -> None:
    queue: Queue = app.amqp.queues["default"]
    headers = {"task": task, "id": "7"} if task else {}
    with app.connection_for_write() as connection, connection.Producer() as producer:
        producer.publish(
            body,
            exchange=queue.exchange,
            routing_key=queue.routing_key,
            headers=headers,
            content_type=content_type,
            content_encoding="utf-8",
        )
    (letter,) = letters()
    assert (letter.reason, letter.task) == (reason, task or "")
    if reason == Reason.UNREADABLE:
        assert letter.body is not None
        assert base64.b64decode(letter.body).decode() == body
        assert "cannot be replayed" in celery("replay", letter.id).output
    WORKS.append(True)
    assert run(fragile).state == "SUCCESS"


def test_a_letter_that_cannot_be_stored_is_logged(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: FileStore, letter: DeadLetter) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(FileStore, "add", full)
    assert run(fragile, "precious").state == "FAILURE"
    wait_until(lambda: "Could not store" in caplog.text)
    assert '"args": ["precious"]' in caplog.text


@app.task(base=BaseTask, name="tests.raises")
def raises(kind: str, text: str) -> None:
    raise {"permanent": PermanentError, "unexpected": KeyError}[kind](text)


def ended(caplog: pytest.LogCaptureFixture, letter: DeadLetter, number: int = 1) -> list[Any]:
    """Wait for the lines of runs that a letter is about, and that have ended, but not succeeded.

    They are written after the result was stored, so those of an earlier test may come in this one.
    """

    def found() -> list[Any]:
        ends = [(record, getattr(record, ENDED, {})) for record in caplog.records]
        return [
            record
            for record, end in ends
            if letter.id in (end.get("task_id"), end.get("dead_letter"))
            and end["outcome"] != "succeeded"
        ]

    wait_until(lambda: len(found()) >= number)
    assert len(found()) == number
    return found()


def test_a_permanent_error_is_logged_in_one_line_that_says_how_to_see_more(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert run(raises, "permanent", "no such\nfile\x1b[2J").state == "FAILURE"
    (letter,) = letters()
    (record,) = ended(caplog, letter)
    assert (record.levelname, record.ended_task["error"]) == ("ERROR", "PermanentError")
    assert (record.ended_task["dead_letter"], "exception" in record.ended_task) == (
        letter.id,
        False,
    )
    line = formatter("console", colors=False).format(record)
    assert r"PermanentError: no such file\x1b[2J; see" in line
    assert f"see `celery -A {app.main} dead-letters show {letter.id}`" in line
    assert "\n" not in line
    assert "Traceback" not in caplog.text
    assert "in raises" in letter.traceback


def test_an_error_that_nobody_expects_is_logged_with_its_traceback(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(raises, "unexpected", "surprise").state == "FAILURE"
    (letter,) = letters()
    (record,) = ended(caplog, letter)
    assert (record.levelname, record.ended_task["error"]) == ("ERROR", "KeyError")
    assert record.ended_task["dead_letter"] == letter.id
    # Only the frames of the owner's code.
    frames = re.findall(r'File ".+", line \d+, in (\w+)', record.ended_task["exception"])
    assert frames == ["raises"]
    assert "raised unexpected" not in caplog.text


def fails_periodically(run: Run, *args: Any) -> None:
    """Run a task that fails, as one that beat has sent."""

    def mark(headers: dict[str, Any], **_: Any) -> None:
        headers[PERIODIC_HEADER] = "yes"

    before_task_publish.connect(mark)
    try:
        assert run(fragile, *args).state == "FAILURE"
    finally:
        before_task_publish.disconnect(mark)


def test_a_periodic_task_that_goes_on_failing_is_one_letter_that_counts_and_is_told_once(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for times in (1, 2, 3):
        fails_periodically(run, "disk")
        lines = ended(caplog, letters()[0], times)
    fails_periodically(run, "clock")
    WORKS.append(True)
    assert run(fragile).state == "SUCCESS"
    other, letter = letters(2)
    assert (letter.args, letter.count, other.args, other.count) == (["disk"], 3, ["clock"], 1)
    assert letter.last_failed_at is not None
    assert letter.failed_at < letter.last_failed_at < other.failed_at
    assert other.last_failed_at is None
    lines += ended(caplog, other)
    assert [line.levelname for line in lines] == ["ERROR", "INFO", "INFO", "ERROR"]
    row = json.loads(celery("list", "--json").output)[1]
    assert (row["count"], row["last_failed_at"]) == (3, letter.last_failed_at)


def test_a_failure_that_is_replayed_and_not_sent_by_beat_is_a_letter_of_its_own(run: Run) -> None:
    fails_periodically(run, "disk")
    (letter,) = letters()
    assert celery("replay", letter.id).exit_code == 0
    (replayed, first) = letters(2)
    assert (first.id, first.count, replayed.args) == (letter.id, 1, ["disk"])
    assert replayed.id == first.history[-1]["as_id"]


def test_a_failure_of_a_periodic_task_after_a_quiet_day_is_told_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, empty_folder: None
) -> None:
    headers = {PERIODIC_HEADER: "yes"}
    letter = DeadLetter("1", "check", Reason.FAILED, args=[], headers=headers)
    assert [writing.is_news(letter), writing.is_news(letter)] == [True, False]
    monkeypatch.setattr(writing, "QUIET", timedelta(0))
    assert writing.is_news(letter)


def test_a_letter_without_a_count_can_be_read_by_an_earlier_release() -> None:
    fields = json.loads(DeadLetter("1", "t", Reason.FAILED, args=[]).to_json())
    assert not {"count", "last_failed_at"} & fields.keys()


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch, empty_folder: None) -> Iterator[pytest.MonkeyPatch]:
    """Let a process look after each letter; forget the settings and what it has seen."""
    monkeypatch.setattr(retention, "LETTERS", 1)
    retention.settings.cache_clear()
    yield monkeypatch
    retention.settings.cache_clear()


def write_letters(*ages_in_days: float) -> None:
    for number, age in enumerate(ages_in_days):
        failed_at = timestamp(datetime.now(UTC) - timedelta(days=age))
        letter = DeadLetter(str(number), "t", Reason.FAILED, args=[number], failed_at=failed_at)
        assert writing.write(app, letter)


def test_the_oldest_letters_go_after_a_time_or_beyond_a_number_with_their_count(
    limits: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    write_letters(100, 91, 89, 1)
    assert [letter.id for letter in letters(2)] == ["3", "2"]
    limits.setenv("APP_DEAD_LETTERS_MAX_NUMBER", "1")
    retention.settings.cache_clear()
    write_letters(0, 0)
    assert [letter.id for letter in letters(1)] == ["1"]
    told = [record.getMessage() for record in caplog.records if "in excess" in record.getMessage()]
    assert sum(int(line.split()[0]) for line in told) == 5
    assert told[0].startswith("1 dead letters that were older than 90 days or in excess of 100000")


def test_what_goes_is_in_the_archive(limits: pytest.MonkeyPatch) -> None:
    limits.setenv("APP_DEAD_LETTERS_ARCHIVE", "old.jsonl")
    limits.setenv("APP_DEAD_LETTERS_MAX_AGE_DAYS", "30")
    write_letters(31, 32, 1)
    archived = Path("old.jsonl").read_text(encoding="utf-8").splitlines()
    assert [DeadLetter.from_json(line).args for line in archived] == [[0], [1]]
    letters(1)


def test_an_archive_that_cannot_be_written_loses_nothing(
    limits: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    limits.setenv("APP_DEAD_LETTERS_ARCHIVE", "old.jsonl")
    retention.settings()
    Path("old.jsonl").mkdir()
    write_letters(100)
    letters(1)
    assert "Could not delete old dead letters" in caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_AGE_DAYS", "0"),
        ("MAX_NUMBER", "0"),
        ("ARCHIVE", "no/such/folder"),
        ("ARCHIVE", "."),
    ],
)
def test_limits_that_are_wrong_end_a_worker(
    name: str, value: str, limits: pytest.MonkeyPatch
) -> None:
    limits.setenv(f"APP_DEAD_LETTERS_{name}", value)
    with pytest.raises(config.ConfigurationError, match=f"APP_DEAD_LETTERS_{name}"):
        app.WorkController(app=app)


def test_an_id_from_a_message_leads_out_of_no_folder(empty_folder: None) -> None:
    FileStore(FOLDER).add(DeadLetter("../../x", "t", Reason.FAILED, args=[]))
    assert [path.parent for path in Path().rglob("*.letter")] == [FOLDER]
    assert [path.name for path in FOLDER.iterdir()] == ["..%2F..%2Fx.letter"]


def test_a_replay_that_cannot_be_sent_can_be_repeated(empty_folder: None) -> None:
    store = FileStore(FOLDER)
    store.add(DeadLetter("1", "tests.fragile", Reason.FAILED, queue="gone", args=[]))
    with store.open() as opened:
        with pytest.raises(Exception, match="gone"):
            replay.replay(app, opened, "1")
        letter = opened.get("1")
        assert letter is not None
        assert letter.history == []
