"""Use the app of a project from its own environment, as another process of its owner would.

`python -m publisher <package>` reads a line of JSON, a command and its arguments, and writes one
with the answer.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from importlib import import_module
from typing import Any
from uuid import uuid4

from celery import chain, chord  # type: ignore[import-not-found,import-untyped,unused-ignore]


def send(app: Any, name: str, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]) -> str:
    """Send a task and return its id."""
    publish = app.tasks[name].apply_async if name in app.tasks else lambda *a, **o: app.send_task(name, *a, **o)
    return str(publish(args, kwargs, **options).id)


def send_many(app: Any, times: int, *call: Any) -> list[str]:
    """Send a task several times and return the ids."""
    return [send(app, *call) for _ in range(times)]


def send_numbered(app: Any, name: str, first: int, last: int, seconds: float) -> list[int]:
    """Send a task for each number of a range; return the numbers whose delivery is uncertain."""
    refused = []
    for number in range(first, last):
        try:
            app.send_task(name, (number, seconds), ignore_result=True)
        except Exception:
            refused.append(number)
    return refused


def send_large(app: Any, name: str, size: int) -> str:
    """Send a task with an argument of so many characters and return its id."""
    return str(app.send_task(name, ("x" * size,)).id)


def timed(app: Any, command: str, *arguments: Any) -> tuple[float, str]:
    """Run another command that fails; return how long it took, and the error."""
    began = time.monotonic()
    try:
        COMMANDS[command](app, *arguments)
    except Exception as error:
        return time.monotonic() - began, f"{type(error).__name__}: {error}"
    return time.monotonic() - began, ""


def publish_raw(app: Any, body: str, content_type: str, name: str | None) -> None:
    """Put a message into the default queue that Celery would never send."""
    queue = app.amqp.queues["default"]
    headers = {"task": name, "id": str(uuid4())} if name else {}
    with app.connection_for_write() as connection, connection.Producer() as producer:
        producer.publish(
            body,
            exchange=queue.exchange,
            routing_key=queue.routing_key,
            declare=[queue],
            headers=headers,
            content_type=content_type,
            content_encoding="utf-8",
        )


def take(app: Any, queue: str, end: str, times: int = 100) -> int:
    """Take messages as a worker would, then reject each or lose the connection; return how many there were."""
    for number in range(times):
        with app.connection_for_read() as connection:
            deadline = time.monotonic() + 3
            while not (message := app.amqp.queues[queue](connection.default_channel).get(no_ack=False)):
                if time.monotonic() > deadline:
                    return number
                time.sleep(0.02)
            if end == "reject":
                message.reject()
    return times


def letters(app: Any) -> list[dict[str, Any]]:
    """Return all dead letters."""
    store = import_module(f"{app.main}.runtime.letters.store")
    with store.opened(app) as opened:
        return [asdict(letter) for letter in opened]


def push(app: Any, queue: str, *bodies: str) -> None:
    """Put an item into a queue on Redis that is not a kombu message."""
    with app.connection_for_write() as connection, connection.default_channel.conn_or_acquire() as client:
        client.lpush(queue, *bodies)


def start(app: Any, workflow: str, *args: Any) -> str:
    """Start a workflow, by its module and its name, and return the id of its last task."""
    module, _, name = workflow.partition(".")
    return str(getattr(import_module(f"{app.main}.workflows.{module}"), name)(*args).delay().id)


def look(app: Any, task_id: str) -> tuple[str, Any]:
    """Return the state of a task, and its result or its progress."""
    result = app.AsyncResult(task_id)
    meta = result.backend.get_task_meta(task_id)  # both from one look
    return meta["status"], meta["result"] if isinstance(meta["result"], dict) else str(meta["result"])


def use(app: Any, function: str, *arguments: Any) -> Any:
    """Call a function of a module beside this one, by both names."""
    module, _, name = function.partition(".")
    return getattr(import_module(module), name)(app, *arguments)


def names(app: Any) -> list[str]:
    """Return the names of the project's tasks."""
    return [name for name in app.tasks if not name.startswith("celery.")]


def destinations(app: Any) -> dict[str, str]:
    """Return the queue to which the app sends each of the project's tasks."""
    return {name: app.amqp.router.route({}, name)["queue"].name for name in names(app)}


def priority(app: Any, name: str) -> int:
    """Return the number of a priority."""
    return int(import_module(f"{app.main}.queues").Priority[name])


def call(app: Any, name: str, kwargs: dict[str, Any]) -> Any:
    """Send a task and wait for what it returns."""
    return app.tasks[name].apply_async(kwargs=kwargs, ignore_result=False).get(timeout=60)


def erase(app: Any) -> None:
    """Delete the queues of the project on a RabbitMQ, and the messages that are being delayed."""
    delayed = import_module("kombu.transport.native_delayed_delivery")
    with app.connection_for_write() as connection:
        for name in [*app.amqp.queues, "dead-letters", "dead-letters-store"]:
            connection.channel().queue_delete(name)
        delayed.declare_native_delayed_delivery_exchanges_and_queues(connection, "quorum")
        for level in range(delayed.MAX_LEVEL + 1):
            connection.channel().queue_purge(delayed.level_name(level))


def declare_classic(app: Any, name: str) -> None:
    """Declare a classic queue, as an older project may have left one behind."""
    with app.connection_for_write() as connection:
        connection.channel().queue_delete(name)
        connection.channel().queue_declare(name, durable=True, auto_delete=False)


def bound(app: Any, correlation_id: str | None, tenant: str | None, command: str, *arguments: Any) -> Any:
    """Run another command in the context of a web request: with a tenant and an id."""
    with import_module(f"{app.main}.runtime.context").bind(correlation_id, tenant):
        return COMMANDS[command](app, *arguments)


def workflow(app: Any) -> str:
    """Send a chain of a task, one that is tried again, and a chord; return the id of the last one."""
    step = app.signature("probe.step", options={"ignore_result": False})
    again = app.signature("probe.try_again", options={"ignore_result": False})
    body = app.signature("probe.publish")
    return str(chain(step, again, chord([step.clone(), again.clone(), step.clone()], body))().id)


def fan_out(app: Any, times: int, *tenants: str) -> list[str]:
    """Send tasks that check their context, for the tenants in turn."""
    ids = []
    for number in range(times):
        for tenant in tenants:
            with import_module(f"{app.main}.runtime.context").bind(f"{tenant}-{number}", tenant):
                ids.append(send(app, "probe.check", [f"{tenant}-{number}", tenant], {}, {}))
    return ids


def put_in_outbox(app: Any, name: str, first: int, last: int) -> list[str]:
    """Commit tasks to the outbox, each in a transaction of its own; return their ids."""
    database, outbox = (import_module(f"{app.main}.runtime.sql.{module}") for module in ("database", "outbox"))
    ids = []
    for number in range(first, last):
        with database.session() as session:
            ids.append(outbox.add(session, app.signature(name, (number,))))
    return ids


def gather(app: Any, parts: int) -> str:
    """Send a chord of so many parts and return the id of its body."""
    put = app.signature("rows.put", options={"ignore_result": False})
    return str(chord([put.clone((number,)) for number in range(parts)], app.signature("rows.gather"))().id)


def send_with_callback(app: Any, name: str, args: list[Any], options: dict[str, Any]) -> str:
    """Send a task that calls back when it fails."""
    callback = app.signature("probe.on_error", immutable=True)
    return str(app.send_task(name, args, link_error=callback, **options).id)


COMMANDS = {
    function.__name__: function
    for function in (
        bound,
        call,
        declare_classic,
        destinations,
        erase,
        fan_out,
        gather,
        letters,
        look,
        names,
        priority,
        publish_raw,
        push,
        put_in_outbox,
        send,
        send_large,
        send_many,
        send_numbered,
        send_with_callback,
        start,
        take,
        timed,
        use,
        workflow,
    )
}

if __name__ == "__main__":
    APP = import_module(f"{sys.argv[1]}.celery").app
    APP.loader.import_default_modules()
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        print(json.dumps(COMMANDS[command](APP, *arguments), default=str), flush=True)
