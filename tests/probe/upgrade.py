"""A module for workers and publishers of a project as it was before `runtime/`, and of one as it is now.

`CELERY_WORKER_INCLUDE=upgrade` loads it into a worker. Each record says by `SIDE` who wrote it. What a task waits for
is a file of the folder `FLAGS`, so that a test decides when it goes on.
"""

from __future__ import annotations

import json
import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from celery import chord, current_app, shared_task  # type: ignore[import-not-found,import-untyped,unused-ignore]

PACKAGE = current_app.main
NEW = "runtime" in {path.name for path in Path(str(import_module(PACKAGE).__file__)).parent.iterdir()}
FLAGS = Path(os.environ["FLAGS"])


def part(before: str, now: str) -> Any:
    """Return a module by the name that it had, or has."""
    return import_module(f"{PACKAGE}.{now if NEW else before}")


CONTEXT = part("context", "runtime.context")
BASE = part("tasks.base", "runtime.tasks.base")
GUARDS = {name: part(f"reliability.{name}", f"runtime.guards.{name}") for name in ("idempotency", "lock", "unique")}


def record(event: str, **details: Any) -> None:
    """Append a record, in one piece."""
    file = os.open(os.environ["PROBE_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, json.dumps({"event": event, "side": os.environ["SIDE"], **details}).encode() + b"\n")
    finally:
        os.close(file)


def wait_for(flag: str) -> None:
    """Wait until the test goes on."""
    while not (FLAGS / flag).exists():
        time.sleep(0.05)


def note(self: Any, word: str) -> str:
    """Record what came, and of whom."""
    request = self.request
    context = CONTEXT.current()
    urgent = (request.headers or {}).get("x-urgent")
    record("note", word=word, urgent=urgent, correlation_id=context.correlation_id, tenant=context.tenant)
    return word


def gather(words: list[str]) -> None:
    """Record the results of the parts of a chord."""
    record("gather", words=words)


def fail(flag: str) -> None:
    """Fail until it is repaired."""
    if not (FLAGS / flag).exists():
        raise ValueError(f"{flag} is not there")
    record("repaired")


def hold(name: str, flag: str) -> None:
    """Hold a lock."""
    with GUARDS["lock"].lock(name):
        record("holds", name=name)
        wait_for(flag)
    record("released", name=name)


def pay(key: str) -> str:
    """Have one effect for each key."""
    record("paid", key=key)
    return os.environ["SIDE"]


def rebuild(shop: int) -> None:
    """Run once for each shop."""
    record("rebuilt", shop=shop)


def hang(self: Any, flag: str) -> None:
    """Record the start, and wait; the worker is killed meanwhile."""
    crashes = (self.request.headers or {}).get("x-crashes", 0)
    record("started", task=self.name, crashes=crashes)
    wait_for(flag)
    record("finished", task=self.name, crashes=crashes)


shared_task(name="upgrade.note", bind=True, base=BASE.BaseTask, ignore_result=False)(note)
shared_task(name="upgrade.gather", base=BASE.BaseTask)(gather)
shared_task(name="upgrade.fail", base=BASE.BaseTask)(fail)
shared_task(name="upgrade.hold", base=BASE.BaseTask)(hold)
shared_task(name="upgrade.pay", base=BASE.BaseTask, ignore_result=False)(GUARDS["idempotency"].idempotent("{key}")(pay))
shared_task(name="upgrade.rebuild", base=GUARDS["unique"].UniqueTask)(rebuild)
shared_task(name="upgrade.hang", bind=True, base=BASE.BaseTask, default_retry_delay=0.1)(hang)
shared_task(name="upgrade.charge", bind=True, base=BASE.AtMostOnceTask)(hang)


# Commands of a publisher


def send_bound(app: Any, word: str, options: dict[str, Any]) -> str:
    """Send a task for a tenant, with a correlation id."""
    with CONTEXT.bind(correlation_id=f"id-{word}", tenant="acme"):
        return str(app.tasks["upgrade.note"].apply_async((word,), **options).id)


def send_chord(app: Any, queues: list[str]) -> str:
    """Send a chord, each part of whose header goes to another queue."""
    header = [app.signature("upgrade.note", (queue,), options={"queue": queue}) for queue in queues]
    return str(chord(header, app.signature("upgrade.gather", options={"queue": queues[0]}))().id)


def submit_job(app: Any, cancelled: bool) -> str:
    """Make a job of Django, and perhaps cancel it, and return its id."""
    os.environ["DJANGO_SETTINGS_MODULE"] = f"{PACKAGE}.site.settings"
    import_module("django").setup()
    models = part("jobs.models", "runtime.django.models")
    job = models.Job.objects.submit("heartbeat", app.tasks["heartbeat.beat"], {})
    if cancelled:
        job.cancel()
    return str(job.pk)


def waiting(app: Any, queue: str) -> list[dict[str, Any]]:
    """Take the messages that wait in a queue, and return what they consist of."""
    found = []
    with app.connection_for_read() as connection:
        while message := app.amqp.queues[queue](connection.default_channel).get(no_ack=True):
            about = {"headers": message.headers, "properties": message.properties, "type": message.content_type}
            found.append({**about, "body": json.loads(message.body)})
    return found


def state(app: Any, task_id: str) -> tuple[str, str]:
    """Return state and result of a task."""
    result = app.AsyncResult(task_id)
    return result.state, str(result.result)


def settings(app: Any) -> dict[str, Any]:
    """Return what the messages and the servers see of the configuration."""
    app.loader.import_default_modules()
    names = {name for name in app.tasks if not name.startswith("celery.")}
    return {
        "queues": {
            name: [queue.routing_key, queue.exchange.name, queue.exchange.type, queue.queue_arguments]
            for name, queue in app.amqp.queues.items()
        },
        "routes": {name: app.amqp.router.route({}, name)["queue"].name for name in names},
        "transport": {**app.conf.broker_transport_options},
        "expires": str(app.conf.result_expires),
    }
