"""The command `celery dead-letters`: list, replay and delete tasks that failed for good."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, TypeVar

import click
from kombu.exceptions import OperationalError
from kombu.utils.json import dumps
from rich.console import Console
from rich.progress import Progress

if TYPE_CHECKING:
    from ..letters.letter import DeadLetter
    from ..letters.store import Filter, Letters

F = TypeVar("F", bound=Callable[..., Any])

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
    from ..letters import store

    app = context.obj.app
    errors = (store.DeadLetterError, OperationalError, OSError, *app.dead_letters.errors)
    try:
        with store.opened(app) as letters:
            yield letters
    except errors as error:
        raise click.ClickException(str(error)) from None


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


def show_table(rows: list[dict[str, Any]], *names: str) -> None:
    """Print the named columns, one line per row; on a terminal, long lines are cut off."""
    if not rows:
        click.echo("There are no matching dead letters.")
        return
    table = [[name.upper() for name in names]]
    for row in rows:
        shown = {
            **row,
            "time": row["failed_at"][:16],
            "replayed": "yes" if row.get("replayed_as") else "",
            "error": f"{row['error']}: {row['text']}" if row["text"] else row["error"],
        }
        table.append([printable(shown[name]) for name in names])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    columns = get_terminal_size().columns if sys.stdout.isatty() else None
    for cells in table:
        line = "  ".join(map(str.ljust, cells, widths)).rstrip()
        click.echo(line[:columns])


def printable(value: object) -> str:
    """Return a value as one line, without characters that a terminal would interpret."""
    return "".join(character if character.isprintable() else " " for character in str(value))


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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_letters(
    context: click.Context, /, limit: int, offset: int, as_json: bool, **filters: Any
) -> None:
    """List dead letters, the newest first."""
    wanted = selection(filters)
    with opened(context) as letters:
        matching = (letter for letter in letters if wanted.matches(letter))
        page = list(islice(matching, offset, offset + limit + 1))
    rows = [brief(letter) for letter in page[:limit]]
    if as_json:
        click.echo(json.dumps(rows))
        return
    show_table(rows, "id", "time", "count", "task", "reason", "replayed", "error")
    if len(page) > limit:
        click.echo(f"There are more: add --offset {offset + limit} to see the next page.")


@dead_letters.command()
@click.argument("letter_id", metavar="ID")
@click.pass_context
def show(context: click.Context, letter_id: str) -> None:
    """Show everything about one dead letter, as JSON."""
    with opened(context) as letters:
        letter = letters.get(letter_id)
    if letter is None:
        raise click.ClickException(
            f"there is no dead letter {letter_id}: run `dead-letters list` to see them"
        )
    click.echo(dumps(asdict(letter), indent=2, ensure_ascii=False))


@dead_letters.command()
@filtered
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def group(context: click.Context, /, as_json: bool, **filters: Any) -> None:
    """Count dead letters by task, reason and error.

    The newest dead letter of each group is shown.
    """
    from ..letters.store import grouped

    wanted = selection(filters)
    with opened(context) as letters:
        groups = grouped(letter for letter in letters if wanted.matches(letter))
    rows = [
        {
            "letters": group.letters,
            "task": group.task or "?",
            "reason": group.reason,
            "error": group.error,
            # Of the newest dead letter in the group:
            "text": group.newest.text,
            "failed_at": group.newest.failed_at,
            "id": group.newest.id,
        }
        for group in groups
    ]
    if as_json:
        click.echo(json.dumps(rows))
    else:
        rows = [{**row, "dead letters": row["letters"]} for row in rows]
        show_table(rows, "dead letters", "task", "reason", "id", "time", "error")


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
            click.echo(f"{letter_id} was sent again as {replay(app, letters, letter_id)}")
            return
        ids = [letter_id] if letter_id else replayable(letters, selection(filters))
        if dry_run:
            click.echo("\n".join([*ids, f"{len(ids)} would be replayed"]))
            return
        with Progress(console=Console(stderr=True)) as bar:
            row = bar.add_task("replaying", total=len(ids))
            replayed, refused = replay_all(app, letters, ids, rate, lambda: bar.advance(row))
    click.echo("\n".join([*refused, f"{replayed} replayed, {len(refused)} refused"]))
    if refused:
        context.exit(1)


def check_selection(letter_id: str | None, everything: bool, filters: dict[str, Any]) -> None:
    """Refuse to change all dead letters only because no filter was given."""
    given = any(value not in ("*", None) for value in filters.values())
    if bool(letter_id) + given + everything != 1:
        raise click.UsageError("give either an ID, or filters, or --all")


def replayable(letters: Letters, wanted: Filter) -> list[str]:
    """Return the ids of the dead letters that can be replayed, the oldest first."""
    return [
        letter.id
        for letter in reversed(list(letters))
        if wanted.matches(letter) and letter.args is not None and letter.task and not letter.history
    ]


@dead_letters.command()
@click.argument("letter_ids", metavar="ID...", nargs=-1, required=True)
@click.pass_context
def discard(context: click.Context, letter_ids: tuple[str, ...]) -> None:
    """Delete the dead letters with these IDs."""
    with opened(context) as letters:
        missing = [letter_id for letter_id in letter_ids if not letters.discard(letter_id)]
    if missing:
        raise click.ClickException(f"there is no dead letter {', '.join(missing)}")


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
