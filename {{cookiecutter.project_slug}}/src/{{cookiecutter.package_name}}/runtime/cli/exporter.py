"""The command `celery exporter`: offer figures about queues, broker and dead letters."""

from __future__ import annotations

import signal
from threading import Event

import click

#: The port of the exporter that most people use.
PORT = 9808


@click.command("exporter")
@click.option(
    "--port", type=click.IntRange(1, 65535), help=f"Instead of APP_METRICS_PORT, or {PORT}."
)
@click.option("--host", help="Instead of APP_METRICS_HOST, or 127.0.0.1.")
@click.pass_context
def exporter(context: click.Context, port: int | None, host: str | None) -> None:
    """Offer figures about queues, broker and dead letters to Prometheus.

    One of it suffices for a project. It takes no message.
    """
    from prometheus_client import CollectorRegistry

    from ..config.environment import read
    from ..observe.exporter import ProjectState
    from ..observe.offering import serve
    from ..observe.settings import Settings

    settings, stop = read(Settings), Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    place = (port or settings.port or PORT, host or settings.host)
    registry = CollectorRegistry()
    registry.register(ProjectState(context.obj.app))
    serve(*place, registry)
    click.echo(f"exporter ready. Its figures are at http://{place[1]}:{place[0]}/metrics")
    stop.wait()
