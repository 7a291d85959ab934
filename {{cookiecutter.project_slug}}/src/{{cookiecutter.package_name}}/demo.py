{% set keeps_results = cookiecutter._keeps_results[cookiecutter.result_backend] %}
"""`make demo`: send every example task once, and watch them run."""

from __future__ import annotations

import sys
import threading
{% if keeps_results %}
import time
{% endif %}
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from celery.result import AsyncResult
{% if keeps_results %}
from celery.states import READY_STATES, SUCCESS
{% endif %}
from kombu.exceptions import OperationalError
from rich.console import Console
{% if keeps_results %}
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column
{% endif %}

from .artifacts import artifacts
from .celery import app
{% if cookiecutter.framework != "none" and keeps_results %}
from .runtime.local.claims import address
{% endif %}
from .settings import settings

ROWS = 400_000

#: Seconds to wait for an answer of a worker, and for the tasks.
ANSWER = 1.5
PATIENCE = 60
{% if cookiecutter.framework != "none" and keeps_results %}

#: Where the API is, unless `make dev` says otherwise.
WEB = "http://127.0.0.1:8000/"
{% endif %}


class Call(NamedTuple):
    """A call of a task.

    Args:
        task: The name of the task.
        kwargs: Its arguments.
        effect: Returns a sentence about what it does, from the id of the task.
    """

    task: str
    kwargs: dict[str, Any]
    effect: Callable[[str], str]


#: Calls that were sent, with their results.
Sent = dict[str, tuple[Call, AsyncResult[object]]]


class Receiver(BaseHTTPRequestHandler):
    """A web server that receives webhooks, as a customer's server would."""

    received: threading.Event

    def do_POST(self) -> None:
        """Accept a webhook."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.end_headers()
        self.received.set()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def receiver(received: threading.Event) -> Iterator[str]:
    """Run a web server on a free port of this machine, and yield its URL."""
    handler = type("DemoReceiver", (Receiver,), {"received": received})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def artifact(pointer: str) -> str:
    """Return where the file of a pointer is, as a path if it is on this machine."""
    url = f"{settings().artifacts_url}/{pointer}"
    if not url.startswith("file:"):
        return url
    path = Path(url2pathname(urlsplit(url).path))
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def mail(task_id: str) -> str:
    """Return where a mail went."""
    if settings().smtp_host:
        return f"A mail went to {settings().smtp_host}."
    return f"No mail server is set, so the mail is in\n  .celery/outbox/{task_id}.eml"


def calls(source: str, url: str) -> list[Call]:
    """Return a call of each example.

    Args:
        source: The pointer to a file to add up.
        url: Where webhooks go.
    """
    news = {"subject": "Hello", "text": "This mail was a task.\n"}
    to = {"to": "reader@example.com"}
    link = {**to, "link": "https://example.com/t/1"}
    readers = ["a@example.com", "b@example.com"]
    totals = {"source": source, "group_by": "region", "amount": "amount"}
    webhook = {"url": url, "event": "demo", "payload": {"answer": 42}}
    return [
        Call(
            "reports.totals",
            totals,
            lambda n: f"The sums of {ROWS:,} rows are in\n  {artifact(f'reports/{n}.csv')}",
        ),
        Call("notifications.send_mail", {**news, **to}, mail),
        Call(
            "notifications.send_bulk",
            {**news, "recipients": readers},
            lambda _: f"It sent a task for each of {len(readers)} mails.",
        ),
        Call("notifications.send_verification", link, mail),
        Call("notifications.send_password_reset", link, mail),
        Call(
            "webhooks.deliver",
            webhook,
            lambda n: f"A server of this demo got the Idempotency-Key\n  {n}",
        ),
        Call("maintenance.check_disk", {}, lambda _: "There is enough space on the disk."),
        Call(
            "maintenance.purge_artifacts",
            {"older_than_days": 30},
            lambda _: "Artifacts older than 30 days are gone.",
        ),
        Call("heartbeat.beat", {}, lambda _: "A worker logged that all is well."),
    ]


def send(url: str, sent: Sent) -> None:
    """Send the example tasks that exist, and write the file that the report adds up."""
    app.loader.import_default_modules()
    rows = "".join(f"{('north', 'south', 'west')[n % 3]},{n % 97}.50\n" for n in range(ROWS))
    source = artifacts.save("demo/sales.csv", f"region,amount\n{rows}".encode())
    for call in calls(source, url):
        if call.task in app.tasks:
            result = app.tasks[call.task].apply_async(kwargs=call.kwargs, ignore_result=False)
            sent[call.task] = call, result
{% if keeps_results %}


def watch(results: dict[str, AsyncResult[object]], console: Console) -> None:
    """Show a progress bar for each task until all have ended."""
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=33)),
        BarColumn(bar_width=12),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[state]}", table_column=Column(no_wrap=True)),
    )
    deadline = time.monotonic() + PATIENCE
    with Progress(*columns, console=console) as bars:
        waiting = {name: bars.add_task(name, total=100, state="waiting") for name in results}
        while waiting and time.monotonic() < deadline:
            for name, bar in list(waiting.items()):
                state, info = str(results[name].state), results[name].info
                if state in READY_STATES:
                    ending = "succeeded" if state == SUCCESS else state.lower()
                    bars.update(bar, completed=100, state=ending)
                    bars.stop_task(bar)
                    del waiting[name]
                elif state == "PROGRESS" and isinstance(info, dict):
                    bars.update(bar, completed=info["percent"], state=info["message"])
            time.sleep(0.1)
{% endif %}


def has_worker() -> bool:
    """Whether a worker is there to run the tasks."""
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=0)
            return bool(app.control.ping(timeout=ANSWER, limit=1, connection=connection))
    except (OperationalError, OSError):
        return False


def main() -> bool:
    """Send the example tasks to the running workers; show, and return, whether they succeed."""
    console, received = Console(highlight=False, markup=False, soft_wrap=True), threading.Event()
    if not has_worker():
        console.print("No worker is running: run make dev in another terminal first.")
        return False
    sent: Sent = {}
    succeeded = False
    with receiver(received) as url:
        try:
            send(url, sent)
            succeeded = follow(sent, console, received)
        except KeyboardInterrupt:
            console.print("Stopped. Waiting tasks are cancelled; those that run go on.")
    if not succeeded:
        with suppress(OperationalError, OSError):
            app.control.revoke([result.id for _, result in sent.values()])
{% if cookiecutter.framework != "none" and keeps_results %}
    else:
        console.print(f"The same in a browser: open {address('web', WEB)}live")
{% endif %}
    return succeeded


def follow(sent: Sent, console: Console, received: threading.Event) -> bool:
    """Show what the tasks do, and return whether they have succeeded."""
{% if keeps_results %}
    del received  # only needed where a project reads no results
    watch({name: result for name, (_, result) in sent.items()}, console)
    for name, (call, result) in sent.items():
        state = result.state
        if state == SUCCESS:
            console.print(f"{name:33} {call.effect(result.id)}")
        elif state in READY_STATES:
            console.print(f"{name:33} failed: {type(result.info).__name__}: {result.info}")
        else:
            console.print(f"{name:33} has not ended in {PATIENCE} s: do all workers run?")
    return all(result.successful() for _, result in sent.values())
{% else %}
    for name, (_, result) in sent.items():
        console.print(f"sent {name:33} {result.id}")
    # This process can read no results, so only the webhook shows that a worker runs.
    if not received.wait(PATIENCE):
        console.print(f"No worker has sent the webhook in {PATIENCE} s: do all workers run?")
        return False
    console.print("The workers run them. When all have ended:")
    for name, (call, result) in sent.items():
        console.print(f"{name:33} {call.effect(result.id)}")
    return True
{% endif %}


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
