"""The command `celery dead-letters`: list, replay and delete tasks that failed for good."""

from __future__ import annotations

import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, TypeVar

import click
from kombu.exceptions import OperationalError
from kombu.utils.json import dumps
from rich.console import Console
from rich.progress import Progress

from ..printable import escaped, lines, one_line, shortened, to_json

if TYPE_CHECKING:
    from ..letters.letter import DeadLetter
    from ..letters.store import Filter, Group, Letters

F = TypeVar("F", bound=Callable[..., Any])

#: The narrowest terminal for which text is wrapped.
NARROWEST = 40

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """Return the time that an option gives, either as a date or as how long ago it was."""
    if text is None:
        return None
    if match := re.fullmatch(r"(\d+)([smhd])", text):
        return datetime.now(UTC) - timedelta(seconds=int(match[1]) * UNITS[match[2]])
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a valid time: use 2026-01-31T12:00 (a date in UTC), or 30m, 2h or 1d"
            " (an age), for example"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def per_second(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Return a rate as replays per second."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)/([smh])", text)
    if not match or not float(match[1]):
        raise click.BadParameter(
            f"{text!r} is not a valid rate: use 50/s, 100/m or 10/h, for example"
        )
    return float(match[1]) / UNITS[match[2]]


def filtered(command: F) -> F:
    """Add the options that select dead letters."""
    options = (
        click.option("--task", default="*", metavar="PATTERN", help="Task name, such as orders.*."),
        click.option("--error", default="*", metavar="PATTERN", help="Class of the error."),
        click.option("--queue", default="*", metavar="PATTERN", help="Queue of the task."),
        click.option("--reason", default="*", metavar="PATTERN", help="Why it is a dead letter."),
        click.option(
            "--since", callback=moment, metavar="TIME", help="Failed after 2h (ago) or a UTC date."
        ),
        click.option(
            "--until", callback=moment, metavar="TIME", help="Failed before 2h (ago) or a UTC date."
        ),
        click.option(
            "--replayed/--not-replayed", default=None, help="Only those that were (not) replayed."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def selection(filters: dict[str, Any]) -> Filter:
    """Return the filter that the options describe."""
    from ..letters.store import Filter

    return Filter(**filters)


@contextmanager
def opened(context: click.Context) -> Iterator[Letters]:
    """Open the store of dead letters, and turn its errors into one-line errors."""
    from ..config.not_running import for_command
    from ..letters import store

    app = context.obj.app
    errors = (store.DeadLetterError, OperationalError, OSError, *app.dead_letters.errors)
    try:
        with store.opened(app) as letters:
            yield letters
    except errors as error:
        raise for_command(error) from None


def brief(letter: DeadLetter) -> dict[str, Any]:
    """Return the fields of a dead letter that a list shows."""
    return {
        "id": letter.id,
        "task": letter.task or "?",
        "queue": letter.queue,
        "reason": letter.reason,
        "error": letter.error,
        "text": letter.text,
        "attempts": letter.attempts,
        "failed_at": letter.failed_at,
        "count": letter.count,
        "last_failed_at": letter.last_failed_at,
        "replayed_as": letter.history[-1]["as_id"] if letter.history else None,
    }


def columns() -> int | None:
    """Return the width of the terminal, if the output goes to one."""
    return get_terminal_size().columns if sys.stdout.isatty() else None


def echo(text: str, indent: int = 0, hang: int | None = None) -> None:
    """Print a paragraph; on a terminal, it is wrapped to the width.

    Args:
        text: The text, whose control characters are shown as escapes.
        indent: How many spaces are before its first line.
        hang: How many are before its other lines, if it is another number.
    """
    text = " " * indent + escaped(text)
    if width := columns():
        text = textwrap.fill(
            text,
            max(width, NARROWEST),
            subsequent_indent=" " * (indent if hang is None else hang),
            break_long_words=False,
            break_on_hyphens=False,
        )
    click.echo(text)


def echo_none(filters: dict[str, Any], offset: int = 0) -> None:
    """Say that there are no dead letters, or none that match."""
    if offset or is_given(filters):
        echo("There are no matching dead letters.")
    else:
        echo("No task has failed for good.")


def is_given(filters: dict[str, Any]) -> bool:
    """Return whether a filter was given."""
    return any(value not in ("*", None) for value in filters.values())


def spoken(time: str | None) -> str:
    """Return a stored time for people, to the minute."""
    return f"{time[:16].replace('T', ' ')} UTC" if time else "?"


def times(letter: DeadLetter) -> str:
    """Return when, and how often, a task failed."""
    first = spoken(letter.failed_at)
    if letter.count == 1:
        return first
    return f"{letter.count} times, from {first} to {spoken(letter.last_failed_at)}"


def program() -> str:
    """Return the name by which this program was started, such as `.venv/bin/celery`."""
    return shlex.quote(sys.argv[0]) if Path(sys.argv[0]).name == "celery" else "celery"


def as_json(value: object) -> str:
    """Return a value as JSON for people."""
    return str(dumps(value, ensure_ascii=False))


def fields(letter: DeadLetter) -> dict[str, list[str]]:
    """Return what there is to say about a dead letter, as lines with a name."""
    arguments = [as_json(part) for part in (letter.args, letter.kwargs) if part]
    priority = "" if letter.priority is None else f", priority {letter.priority}"
    return {
        "task": [letter.task],
        "reason": [letter.reason],
        "error": lines(letter.problem),
        "arguments": ["unreadable"] if letter.args is None else arguments or ["none"],
        "body": [letter.body or ""],
        "queue": [f"{letter.queue}{priority}"],
        "failed": [times(letter)],
        "started": [spoken(letter.started_at) if letter.started_at else ""],
        "attempts": [str(letter.attempts or "")],
        "worker": [letter.worker],
        "headers": [f"{name}: {as_json(value)}" for name, value in letter.added_headers.items()],
        "then": [f"{name}: {as_json(value)}" for name, value in letter.embed.items() if value],
        "replayed": [
            f"{spoken(replay['at'])} by {replay['by']} as {replay['as_id']}"
            for replay in letter.history
        ],
    }


@click.group("dead-letters")
def dead_letters() -> None:
    """List, replay and delete tasks that failed for good."""


@dead_letters.command("list")
@filtered
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Dead letters to show."
)
@click.option(
    "--offset", type=click.IntRange(0), default=0, help="Dead letters to skip (earlier pages)."
)
@click.option("--json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_letters(
    context: click.Context, /, limit: int, offset: int, json: bool, **filters: Any
) -> None:
    """List dead letters, the newest first."""
    wanted = selection(filters)
    with opened(context) as letters:
        matching = (letter for letter in letters if wanted.matches(letter))
        page = list(islice(matching, offset, offset + limit + 1))
    if json:
        click.echo(to_json([brief(letter) for letter in page[:limit]]))
        return
    for letter in page[:limit]:
        echo(f"{one_line(letter.id)}  {one_line(letter.task or '?')}")
        replayed = ", replayed" if letter.history else ""
        echo(one_line(f"{times(letter)}, {letter.reason}{replayed}"), 4)
        if letter.problem:
            echo(shortened(letter.problem), 4)
    if not page:
        echo_none(filters, offset)
    if len(page) > limit:
        echo(f"There are more: add --offset {offset + limit} to see the next page.")


@dead_letters.command()
@click.argument("letter_id", metavar="ID")
@click.option("--json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(context: click.Context, letter_id: str, json: bool) -> None:
    """Show everything about one dead letter."""
    with opened(context) as letters:
        letter = letters.get(letter_id)
    if letter is None:
        raise click.ClickException(
            f"there is no dead letter {one_line(letter_id)}: run `dead-letters list` to see them"
        )
    if json:
        click.echo(to_json(asdict(letter), indent=2))
        return
    echo(f"Dead letter {letter.id}")
    for name, values in fields(letter).items():
        for number, value in enumerate(filter(None, values)):
            echo(f"{'' if number else name:12}{value}", 2, 14)
    if letter.traceback:
        click.echo("\n".join(["", *lines(letter.traceback)]))
    if letter.can_be_replayed:
        command = f"{program()} -A {context.obj.app.main} dead-letters replay"
        click.echo(f"\nTo send the task again:\n  {command} {one_line(letter.id)}")


@dead_letters.command()
@filtered
@click.option("--json", is_flag=True, help="Print JSON.")
@click.pass_context
def group(context: click.Context, /, json: bool, **filters: Any) -> None:
    """Count dead letters by task, reason and error.

    The newest dead letter of each group is shown.
    """
    from ..letters.store import grouped

    wanted = selection(filters)
    with opened(context) as letters:
        groups = grouped(letter for letter in letters if wanted.matches(letter))
    if json:
        click.echo(to_json([about_group(group) for group in groups]))
        return
    for task, reason, error, number, replayed, newest in groups:
        kind = f"{task or '?'}: {reason}, {error}" if error else f"{task or '?'}: {reason}"
        echo(one_line(f"{number} dead letter{'s' if number > 1 else ''} of {kind}"))
        echo(f"{replayed or 'none'} of them replayed", 4)
        echo(one_line(f"newest: {newest.id}, {times(newest)}"), 4)
        if newest.text:
            echo(shortened(newest.text), 4)
    if not groups:
        echo_none(filters)


def about_group(group: Group) -> dict[str, Any]:
    """Return a group for JSON, with the fields of its newest dead letter."""
    return {
        "letters": group.letters,
        "replayed": group.replayed,
        "task": group.task or "?",
        "reason": group.reason,
        "error": group.error,
        "text": group.newest.text,
        "failed_at": group.newest.failed_at,
        "id": group.newest.id,
    }


@dead_letters.command()
@click.argument("letter_id", metavar="[ID]", required=False)
@filtered
@click.option("--all", "everything", is_flag=True, help="All dead letters, unfiltered.")
@click.option("--rate", callback=per_second, metavar="50/s", help="At most 50/s; also /m or /h.")
@click.option("--dry-run", is_flag=True, help="Only print the ids.")
@click.pass_context
def replay(
    context: click.Context,
    /,
    letter_id: str | None,
    everything: bool,
    rate: float | None,
    dry_run: bool,
    **filters: Any,
) -> None:
    """Replay the dead letter ID, or all that match the filters, the oldest first."""
    from ..letters.replay import replay, replay_all

    app = context.obj.app
    check_selection(letter_id, everything, filters)
    with opened(context) as letters:
        if letter_id and not dry_run:
            echo(f"{letter_id} was sent again as {replay(app, letters, letter_id)}")
            return
        ids = [letter_id] if letter_id else replayable(letters, selection(filters))
        if dry_run:
            for line in (*ids, f"{len(ids)} would be replayed"):
                echo(line)
            return
        with Progress(console=Console(stderr=True)) as bar:
            row = bar.add_task("replaying", total=len(ids))
            replayed, refused = replay_all(app, letters, ids, rate, lambda: bar.advance(row))
    for line in (*refused, f"{replayed} replayed, {len(refused)} refused"):
        echo(line)
    if refused:
        context.exit(1)


def check_selection(letter_id: str | None, everything: bool, filters: dict[str, Any]) -> None:
    """Refuse to change all dead letters only because no filter was given."""
    if bool(letter_id) + is_given(filters) + everything != 1:
        raise click.UsageError("give either an ID, or filters, or --all")


def replayable(letters: Letters, wanted: Filter) -> list[str]:
    """Return the ids of the dead letters that can be replayed, the oldest first."""
    return [
        letter.id
        for letter in reversed(list(letters))
        if wanted.matches(letter) and letter.can_be_replayed
    ]


@dead_letters.command()
@click.argument("letter_ids", metavar="ID...", nargs=-1, required=True)
@click.pass_context
def discard(context: click.Context, letter_ids: tuple[str, ...]) -> None:
    """Delete the dead letters with these IDs."""
    with opened(context) as letters:
        missing = [letter_id for letter_id in letter_ids if not letters.discard(letter_id)]
    click.echo(f"{len(letter_ids) - len(missing)} deleted")
    if missing:
        raise click.ClickException(f"there is no dead letter {one_line(', '.join(missing))}")


@dead_letters.command()
@filtered
@click.option("--all", "everything", is_flag=True, help="All dead letters, unfiltered.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_context
def purge(context: click.Context, /, everything: bool, yes: bool, **filters: Any) -> None:
    """Delete all dead letters that match the filters."""
    check_selection(None, everything, filters)
    wanted = selection(filters)
    with opened(context) as letters:
        ids = [letter.id for letter in letters if wanted.matches(letter)]
        if ids and not yes:
            click.confirm(f"Delete {len(ids)} dead letters?", abort=True)
        for letter_id in ids:
            letters.discard(letter_id)
    click.echo(f"{len(ids)} deleted")
