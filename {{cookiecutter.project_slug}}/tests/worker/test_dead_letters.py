"""What fails for good is a letter; a letter is replayed once. Shown by a real worker, on files."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.bin.base import CLIContext
from click.testing import CliRunner, Result
from kombu import Queue

from {{ cookiecutter.package_name }} import context
from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.cli.dead_letters import (
    dead_letters as command,
)
from {{ cookiecutter.package_name }}.reliability import (
    dead_letters,
    letter_store,
    local_letters,
)
from {{ cookiecutter.package_name }}.tasks.base import (
    AtMostOnceTask,
    BaseTask,
    PermanentError,
)

DeadLetter = dead_letters.DeadLetter
Reason = dead_letters.Reason
store_of = letter_store.store_of
FOLDER = local_letters.FOLDER
FileStore = local_letters.FileStore

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
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with store_of(app).open() as opened:
            found = list(opened)
        if len(found) >= number:
            break
        time.sleep(0.05)
    assert len(found) == number
    return found


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
    deadline = time.monotonic() + 10
    while len(CALLS) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert CALLS == [((1,), {"due": "today"}, "request-7", "acme")] * 2
    refused = celery("replay", letter.id)
    assert (refused.exit_code, len(CALLS)) == (1, 2)
    assert "was replayed at" in refused.output
    (replay,) = json.loads(celery("show", letter.id).output)["history"]
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
        (("replay",), "give one LETTER_ID, or filters, or --all"),
        (("purge", "--yes"), "give one LETTER_ID, or filters, or --all"),
        (("replay", "nobody"), "there is no letter nobody"),
        (("show", "nobody"), "there is no letter nobody"),
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
    deadline = time.monotonic() + 10
    while "Could not store" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.05)
    assert '"args": ["precious"]' in caplog.text


def test_an_id_from_a_message_leads_out_of_no_folder(empty_folder: None) -> None:
    FileStore(FOLDER).add(DeadLetter("../../x", "t", Reason.FAILED, args=[]))
    assert [path.parent for path in Path().rglob("*.letter")] == [FOLDER]
    assert [path.name for path in FOLDER.iterdir()] == ["..%2F..%2Fx.letter"]


def test_a_replay_that_cannot_be_sent_can_be_repeated(empty_folder: None) -> None:
    store = FileStore(FOLDER)
    store.add(DeadLetter("1", "tests.fragile", Reason.FAILED, queue="gone", args=[]))
    with store.open() as opened:
        with pytest.raises(Exception, match="gone"):
            dead_letters.replay(app, opened, "1")
        letter = opened.get("1")
        assert letter is not None
        assert letter.history == []
