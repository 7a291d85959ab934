"""The command `celery dev`: run the processes of the Procfile on this machine."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..app import App
    from ..local.procfile import Address

PROCFILE = Path("Procfile")


@click.command("dev")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_context
def dev(context: click.Context, names: tuple[str, ...]) -> None:
    """Run the processes of the Procfile that are NAMEd, by default all, until Ctrl-C.

    Without CELERY_BROKER_URL, a server of this project's own holds the queues.
    """
    from ..config import machine
    from ..local import changes, claims, procfile, server
    from ..local.output import Output

    if not machine.has_sockets():
        raise click.ClickException("this runs on Linux and macOS; on Windows, use WSL")
    from ..local.processes import Runner

    app = context.obj.app
    commands = chosen(names)
    places = {name: procfile.address(command) for name, command in commands.items()}
    listening = {name: place for name, place in places.items() if place}
    others = procfile.read(PROCFILE).keys() - commands.keys()
    with ExitStack() as stack:
        try:
            files = stack.enter_context(claims.claimed(commands))
        except claims.RunsError as error:
            raise click.ClickException(str(error)) from None
        for name, place in listening.items():
            check_free(place)
            claims.tell(files[name], place.url)
        output = Output(commands)
        hide = os.environ.get("CELERY_WORKER_LOGLEVEL", "").upper() != "DEBUG"
        hello = greeting(app, names, [*listening.values()])
        runner = Runner(commands, output, hello, hide=hide, files=files)
        if given := on_own_server(app):
            try:
                program, process = stack.enter_context(server.running())
            except server.ServerError as error:
                raise click.ClickException(f"no server holds {given}: {error}") from None
            output.line(f"a {program.name} of this project holds {given}")
            if machine.is_own(app.conf.broker_url) and not any(map(claims.is_running, others)):
                server.give_back(app)
            if process:
                runner.watch(process, program.name)
        else:
            output.line(f"the queues are on {app.connection().as_uri()}")
        if not changes.watch(lambda *change: runner.events.put(lambda: runner.on_change(*change))):
            output.line("changes of the code are not noticed: watchfiles is not installed")
        failure = runner.run()
    output.line(f"stopped, because {failure}" if failure else "stopped")
    sys.exit(1 if failure else 0)


def on_own_server(app: App) -> str:
    """Return what is on the project's own server because no URL is set, or ""."""
    from ..config import machine

    places = {"queues": app.conf.broker_url, "results": app.conf.result_backend}
    return " and ".join(what for what, url in places.items() if machine.is_own(url))


def chosen(names: tuple[str, ...]) -> dict[str, str]:
    """Return the commands of processes by their names.

    Raises:
        ClickException: There is no Procfile here, or no such process in it.
    """
    from ..local import procfile

    try:
        commands = procfile.read(PROCFILE)
    except OSError:
        raise click.ClickException(
            f"there is no {PROCFILE} in {Path.cwd()}: run this in the folder of the project"
        ) from None
    for name in names:
        if name not in commands:
            raise click.ClickException(
                f"{PROCFILE} has no process {name}: use {', '.join(commands)}"
            )
    return {name: commands[name] for name in names or commands}


def check_free(place: Address) -> None:
    """Check that nothing listens on an address.

    Raises:
        ClickException: Something does.
    """
    try:
        socket.create_server(place).close()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise click.ClickException(
            f"port {place.port} of {place.host} cannot be used ({why}): choose another one, such as"
            f" WEB_PORT={free(place)}"
        ) from None


def free(place: Address) -> int:
    """Return the next port that can be used instead of that of an address."""
    for port in range(place.port + 1, place.port + 100):
        with suppress(OSError), socket.create_server((place.host, port)):
            return port
    return 0  # with which the system chooses one


def greeting(app: App, names: tuple[str, ...], listening: list[Address]) -> str:
    """Return the line that says that all processes are ready, and what to do next."""
    places = [f"open {place.url}" for place in listening]
    demo = not names and find_spec(f"{app.main}.demo")
    todo = [*places, *(["run make demo in a new terminal"] if demo else [])]
    return f"ready: {' or '.join(todo)}" if todo else "ready: press Ctrl-C to stop"
