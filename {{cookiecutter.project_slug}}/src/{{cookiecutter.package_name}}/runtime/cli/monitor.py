"""The command `celery monitor`: what becomes of tasks, while it happens."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click
from kombu.exceptions import OperationalError

from ..printable import escaped, one_line, to_json

if TYPE_CHECKING:
    from rich.table import Table

    from ..events import Total, Totals

#: Seconds after which workers that have started in the meantime are asked for events too.
ASK_AGAIN = 5


@click.command("monitor")
@click.option(
    "--interval",
    type=click.FloatRange(0.2, 3600),
    default=1,
    show_default=True,
    help="Seconds between two tables, or between two lines of JSON.",
)
@click.option(
    "--duration", type=click.FloatRange(0, min_open=True), help="End after so many seconds."
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON each time.")
@click.pass_context
def monitor(context: click.Context, interval: float, duration: float | None, as_json: bool) -> None:
    """Show totals of each task: what has started, succeeded and failed, and how long it took.

    Workers send events for as long as this runs, which costs them a third of the throughput of
    short tasks. Metrics for Prometheus cost next to nothing.
    """
    from ..config.not_running import for_command

    app = context.obj.app
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
            watch(app, connection, interval, duration, as_json)
    except (OperationalError, OSError) as error:
        raise for_command(error) from None
    except KeyboardInterrupt:
        pass


def watch(
    app: Any, connection: Any, interval: float, duration: float | None, as_json: bool
) -> None:
    """Show what workers tell until the time is over, or until Ctrl-C."""
    from celery.events.receiver import EventReceiver
    from rich.console import Console
    from rich.live import Live

    from ..events import Switch, Totals

    totals, switch, start = Totals(), Switch(app), time.monotonic()

    class Receiver(EventReceiver):
        """Receives events, and does at times what is to do besides."""

        asked = shown = start - max(ASK_AGAIN, interval)

        def on_iteration(self) -> None:
            """Ask for events, show the totals and end, each when it is time for it."""
            now = time.monotonic()
            if now >= self.asked + ASK_AGAIN:
                self.asked = now
                switch.on()
            if now >= self.shown + interval and now > start + interval:
                self.shown = now
                show()
            if duration is not None and now >= start + duration:
                self.should_stop = True

    with ExitStack() as stack:
        stack.callback(switch.off)
        if as_json:

            def show() -> None:
                click.echo(
                    to_json({"seconds": round(time.monotonic() - start, 3), **totals.as_json()})
                )

        else:
            live = Live(table(totals), console=Console(), auto_refresh=False)
            stack.enter_context(live)

            def show() -> None:
                live.update(table(totals), refresh=True)

        receiver: Any = Receiver(connection, handlers={"*": totals.add}, app=app)
        for _ in receiver.consume(limit=None, safety_interval=min(interval, 0.2)):
            pass
        show()


def table(totals: Totals) -> Table:
    """Return the totals as a table for a terminal."""
    from rich.table import Table
    from rich.text import Text

    workers = len(totals.workers)
    title = f"{workers} worker{'' if workers == 1 else 's'}"
    shown = Table(title=title, title_justify="left", caption="Ctrl-C ends it")
    shown.add_column("task", overflow="fold")
    for name in ("running", "succeeded", "failed", "retried", "success", "mean", "p95"):
        shown.add_column(name, justify="right")
    shown.add_column("last error", overflow="ellipsis", no_wrap=True)
    for name, total in sorted(totals.tasks.items()):
        shown.add_row(Text(escaped(name)), *figures(total), Text(one_line(total.error)))
    return shown


def figures(total: Total) -> list[str]:
    """Return the figures of a row."""
    counts = [str(total.counts[name]) for name in ("succeeded", "failed", "retried")]
    rate = "" if total.success_rate is None else f"{total.success_rate:.1%}"
    return [str(total.running), *counts, rate, seconds(total.mean), seconds(total.p95)]


def seconds(value: float | None) -> str:
    """Return a run time for people."""
    if value is None:
        return ""
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
