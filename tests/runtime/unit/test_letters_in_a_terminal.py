"""What the command shows of dead letters: for people, in a width, and without control characters."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery.bin.base import CLIContext
from click.testing import CliRunner, Result

from my_celery_project.celery import app
from my_celery_project.runtime.cli import dead_letters
from my_celery_project.runtime.letters import files
from my_celery_project.runtime.letters.letter import (
    DeadLetter,
    Reason,
)
from my_celery_project.runtime.letters.store import (
    DeadLetterError,
)

pytestmark = pytest.mark.usefixtures("empty_folder")

#: It clears the screen, sets the clipboard, forges a line, turns the writing round, and more.
HOSTILE = "a\x1b[2J\x1b]52;c;QQ==\x07\x00\x08\r\nforged\x85\x9b31m\u202ert\u2066\u2028l\u200b\x7f"
TIME = "2026-01-31T12:30:15.000000+00:00"
TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 7, in work\nOSError'

SHOWN = f"""\
Dead letter 7
  task        orders.ship
  reason      failed
  error       OSError: first line
              second line
  arguments   ["é", 1]
              {{"due": "a  b"}}
  queue       io, priority 3
  failed      2026-01-31 12:30 UTC
  attempts    2
  worker      io@here
  headers     x-tenant: "acme"

{TRACEBACK}

To send the task again:
  celery -A {app.main} dead-letters replay 7
"""


@pytest.fixture
def keep() -> Callable[..., DeadLetter]:
    """Return a function that stores a dead letter."""

    def add(letter_id: str, task: str = "orders.ship", **fields: Any) -> DeadLetter:
        letter = DeadLetter(letter_id, task, **{"reason": Reason.FAILED, "args": [], **fields})
        files.FileStore(files.FOLDER).add(letter)
        return letter

    return add


@pytest.fixture(params=[None, 80, 10])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """Run with and without a terminal."""
    columns: int | None = request.param
    monkeypatch.setattr(dead_letters, "columns", lambda: columns)
    return columns


def run(*arguments: str) -> Result:
    """Run a command as `celery -A ... dead-letters` does, on something that takes escapes."""
    context = CLIContext(app, no_color=True, workdir=None)
    return CliRunner().invoke(dead_letters.dead_letters, arguments, obj=context, color=True)


def output(*arguments: str) -> str:
    """Return what a command prints."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def assert_harmless(text: str) -> None:
    """Check that a terminal interprets nothing but line breaks."""
    assert [line for line in text.split("\n") if not (line.isprintable() and line.isascii())] == []


def test_no_dead_letter_is_good_news(keep: Callable[..., DeadLetter]) -> None:
    for command in ("list", "group"):
        assert output(command) == "No task has failed for good.\n"
        assert json.loads(output(command, "--json")) == []
    assert "matching" in output("list", "--task", "orders.*")
    keep("1")
    assert "matching" in output("list", "--task", "mails.*")
    assert "matching" in output("list", "--offset", "1")
    assert "matching" in output("group", "--error", "KeyError")


def test_an_error_is_wrapped_and_not_cut(
    keep: Callable[..., DeadLetter], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "the warehouse refuses the order, because " + "one of its items has been sold, " * 5
    letter_id = "6f1c2b34-9c1d-4a55-8a06-6f0f5f6a1c11"
    keep(letter_id, error="ConnectError", text=f"{text}\nsorry", failed_at=TIME)
    whole = f"ConnectError: {text.strip()} sorry"
    assert output("list").splitlines() == [
        f"{letter_id}  orders.ship",
        "    2026-01-31 12:30 UTC, failed",
        f"    {whole}",
    ]
    monkeypatch.setattr(dead_letters, "columns", lambda: 80)
    for lines in (output("list").splitlines()[2:], output("group").splitlines()[3:]):
        assert max(map(len, lines)) <= 80
        assert all(line.startswith("    ") for line in lines)
        assert " ".join(map(str.strip, lines)) in whole
        assert lines[-1].endswith("sorry")
    keep("2", error="ConnectError", text="no " * 4000)
    assert "no ...\n" in output("list")
    assert output("show", "2").count("no") > 4000


def test_groups_say_how_many_were_replayed(keep: Callable[..., DeadLetter]) -> None:
    replays: tuple[list[dict[str, str]], ...] = ([], [{"at": TIME, "by": "ada", "as_id": "9"}])
    for number in range(5):
        keep(str(number), error="OSError", history=replays[number % 2], failed_at=TIME)
    keep("other", task="", reason=Reason.UNREADABLE, failed_at=TIME)
    large, small = json.loads(output("group", "--json"))
    assert (large["letters"], large["replayed"], small["replayed"]) == (5, 2, 0)
    told = output("group")
    assert told.startswith(
        "5 dead letters of orders.ship: failed, OSError\n    2 of them replayed\n"
    )
    assert (
        "1 dead letter of ?: unreadable\n    none of them replayed\n    newest: other, 2026-01-31"
        in told
    )


def test_one_is_shown_for_people(keep: Callable[..., DeadLetter]) -> None:
    keep(
        "7",
        args=["é", 1],
        kwargs={"due": "a  b"},
        queue="io",
        priority=3,
        headers={"x-tenant": "acme", "root_id": "7", "lang": "py", "task": "orders.ship"},
        error="OSError",
        text="first line\nsecond line",
        traceback=TRACEBACK,
        attempts=2,
        worker="io@here",
        failed_at=TIME,
    )
    assert output("show", "7") == SHOWN
    assert json.loads(output("show", "7", "--json"))["traceback"] == TRACEBACK


def test_the_command_for_a_replay_works_where_it_was_shown(
    keep: Callable[..., DeadLetter], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("7")
    monkeypatch.setattr("sys.argv", [".venv/bin/celery"])
    assert f"\n  .venv/bin/celery -A {app.main} dead-letters replay 7\n" in output("show", "7")


def test_one_that_was_replayed_says_so(keep: Callable[..., DeadLetter]) -> None:
    keep("7", history=[{"at": TIME, "by": "ada", "as_id": "8"}], count=3, last_failed_at=TIME)
    told = output("show", "7")
    assert "  replayed    2026-01-31 12:30 UTC by ada as 8\n" in told
    assert "again" not in told
    assert "to 2026-01-31 12:30 UTC, failed, replayed\n" in output("list")
    keep("8", args=None, task="", reason=Reason.UNREADABLE, body="eyd9", failed_at=TIME)
    told = output("show", "8")
    assert "  arguments   unreadable\n  body        eyd9\n" in told
    assert "again" not in told


def hostile(letter_id: str, **fields: Any) -> DeadLetter:
    """Return a dead letter with hostile text wherever text can be."""
    return DeadLetter(
        id=letter_id,
        task=HOSTILE,
        reason=HOSTILE,
        queue=HOSTILE,
        args=[HOSTILE],
        kwargs={HOSTILE: HOSTILE},
        headers={HOSTILE: HOSTILE},
        embed={HOSTILE: HOSTILE},
        body=HOSTILE,
        error=HOSTILE,
        text=HOSTILE,
        traceback=f"{HOSTILE}\n  {HOSTILE}",
        worker=HOSTILE,
        started_at=HOSTILE,
        failed_at=HOSTILE,
        last_failed_at=HOSTILE,
        count=2,
        **fields,
    )


def test_no_control_character_reaches_a_terminal(width: int | None) -> None:
    replay = {"at": HOSTILE, "by": HOSTILE, "as_id": HOSTILE}
    names = HOSTILE, f"{HOSTILE}-replayed"
    store = files.FileStore(files.FOLDER)
    letters = [hostile(names[0]), hostile(names[1], history=[replay])]
    for letter in letters:
        store.add(letter)
    unknown = f"{HOSTILE}-unknown"
    found: list[str] = [
        *(output(command) for command in ("list", "group")),
        *(output("show", name) for name in names),
        output("replay", "--all", "--dry-run"),
        output("replay", names[0], "--dry-run"),
        *(run(command, unknown).output for command in ("show", "replay", "discard")),
        run("replay", names[1]).output,
    ]
    for text in found:
        assert_harmless(text)
        assert "forged" in text
    # Each column of a list is a single line without the line breaks of the text.
    if width is None:
        lists = output("list", "--limit", "1").splitlines(), output("group").splitlines()
        assert [len(lines) for lines in lists] == [4, 4]
    assert r"\x1b[2J" in found[0]
    assert r"\u202e" in found[0]
    # JSON stays what it is, and a terminal can show it.
    for arguments in (["list", "--json"], ["group", "--json"], ["show", names[0], "--json"]):
        text = output(*arguments)
        assert_harmless(text)
    assert json.loads(output("show", names[0], "--json"))["text"] == HOSTILE


def test_an_error_of_the_store_is_one_harmless_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: files.FileStore) -> None:
        raise DeadLetterError(HOSTILE)

    monkeypatch.setattr(files.FileStore, "open", fail)
    result = run("list")
    assert result.exit_code == 1
    assert_harmless(result.output)
    assert result.output.startswith("Error: a")


def test_a_folder_without_dead_letters_is_not_made() -> None:
    output("list")
    assert list(Path().iterdir()) == []
