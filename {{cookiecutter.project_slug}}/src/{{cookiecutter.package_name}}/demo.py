"""`make demo`: send every example task once, and watch them run."""

from __future__ import annotations

{% if cookiecutter.__api and cookiecutter._keeps_results[cookiecutter.result_backend] %}
import os
{% endif %}
import sys
import threading
{% if cookiecutter._keeps_results[cookiecutter.result_backend] %}
import time
{% endif %}
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from celery.result import AsyncResult
{% if cookiecutter._keeps_results[cookiecutter.result_backend] %}
from celery.states import READY_STATES
{% endif %}
from rich.console import Console
{% if cookiecutter._keeps_results[cookiecutter.result_backend] %}
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column
{% endif %}

from .artifacts import artifacts
from .celery import app

ROWS = 400_000

#: Seconds to wait for the workers.
PATIENCE = 60


class Receiver(BaseHTTPRequestHandler):
    """A web server that receives webhooks, as a customer's server would."""

    console: Console
    received: threading.Event

    def do_POST(self) -> None:
        """Accept a webhook, and show the key by which a repetition is recognised."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.end_headers()
        self.console.print(f"webhook received, Idempotency-Key {self.headers['Idempotency-Key']}")
        self.received.set()

    def log_message(self, *_: object) -> None:
        """Log nothing: do_POST shows what matters."""


@contextmanager
def receiver(console: Console, received: threading.Event) -> Iterator[str]:
    """Run a web server on a free port of this machine, and yield its URL."""
    handler = type("DemoReceiver", (Receiver,), {"console": console, "received": received})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def send(url: str) -> dict[str, AsyncResult[object]]:
    """Send the example tasks that exist, and write the file that the report adds up."""
    app.loader.import_default_modules()
    rows = "".join(f"{('north', 'south', 'west')[n % 3]},{n % 97}.50\n" for n in range(ROWS))
    source = artifacts.save("demo/sales.csv", f"region,amount\n{rows}".encode())
    news = {"subject": "Hello", "text": "This mail was a task.\n"}
    mail = {**news, "to": "reader@example.com"}
    link = {"to": "reader@example.com", "link": "https://example.com/t/1"}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("reports.totals", {"source": source, "group_by": "region", "amount": "amount"}),
        ("notifications.send_mail", mail),
        ("notifications.send_bulk", {**news, "recipients": ["a@example.com", "b@example.com"]}),
        ("notifications.send_verification", link),
        ("notifications.send_password_reset", link),
        ("webhooks.deliver", {"url": url, "event": "demo", "payload": {"answer": 42}}),
        ("maintenance.check_disk", {}),
        ("maintenance.purge_artifacts", {"older_than_days": 30}),
        ("heartbeat.beat", {}),
    ]
    return {
        name: app.tasks[name].apply_async(kwargs=kwargs, ignore_result=False)
        for name, kwargs in calls
        if name in app.tasks
    }
{% if cookiecutter._keeps_results[cookiecutter.result_backend] %}


def watch(results: dict[str, AsyncResult[object]], console: Console) -> bool:
    """Show a progress bar for each task until all have ended; return whether all succeeded."""
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=33)),
        BarColumn(bar_width=12),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[outcome]}", table_column=Column(no_wrap=True)),
    )
    deadline = time.monotonic() + PATIENCE
    with Progress(*columns, console=console) as bars:
        waiting = {name: bars.add_task(name, total=100, outcome="waiting") for name in results}
        while waiting and time.monotonic() < deadline:
            for name, bar in list(waiting.items()):
                state, info = str(results[name].state), results[name].info
                if state in READY_STATES:
                    bars.update(bar, completed=100, outcome=f"{state} {info}")
                    bars.stop_task(bar)
                    del waiting[name]
                elif state == "PROGRESS" and isinstance(info, dict):
                    bars.update(bar, completed=info["percent"], outcome=info["message"])
            time.sleep(0.1)
    if waiting:
        console.print(f"No worker has finished {', '.join(waiting)}: is `make dev` running?")
    return not waiting and all(result.successful() for result in results.values())
{% endif %}


def main() -> bool:
    """Send the example tasks to the running workers; show, and return, whether they succeed."""
    console, received = Console(), threading.Event()
    with receiver(console, received) as url:
        results = send(url)
{% if not cookiecutter._keeps_results[cookiecutter.result_backend] %}
        for name, result in results.items():
            console.print(f"sent {name:33} {result.id}")
        # This process can read no results, so only the webhook shows that a worker runs.
        if not received.wait(PATIENCE):
            console.print("No worker has sent the webhook: is `make dev` running?")
            return False
        return True
{% elif cookiecutter.__api %}
        succeeded = watch(results, console)
    port = os.environ.get("WEB_PORT", "8000")
    console.print(f"The same in a browser: open http://127.0.0.1:{port}/live")
    return succeeded
{% else %}
        return watch(results, console)
{% endif %}


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
