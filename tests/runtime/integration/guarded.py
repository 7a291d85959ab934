"""The app with tasks that share state, for tests with two workers: `celery -A guarded worker`."""

import time
from datetime import timedelta

from my_celery_project.celery import app
from my_celery_project.runtime.errors import (
    TransientError,
)
from my_celery_project.runtime.guards import (
    idempotency,
)
from my_celery_project.runtime.guards.circuit import (
    Circuit,
)
from my_celery_project.runtime.guards.lock import (
    lock,
)
from my_celery_project.runtime.guards.rates import (
    limited,
)
from my_celery_project.runtime.guards.unique import (
    UniqueTask,
)
from my_celery_project.runtime.redis import store
from my_celery_project.runtime.tasks.base import (
    BaseTask,
)

#: Seconds; short, so that a test need not wait for long.
LEASE = 3
PAUSE = 3
#: Starts a second.
RATE = 50

#: One effect each, with process and time.
EFFECTS = "test-effects"


def note(effect: str, text: str = "-") -> None:
    """Keep an effect."""
    store.client().rpush(f"{EFFECTS}:{effect}", f"{text} {time.time()}")


@app.task(base=BaseTask, name="tests.pay")
@idempotency.idempotent(key="{order}", lease=LEASE)
def pay(order: str, seconds: float = 0) -> str:
    """Pay once, however often it is sent."""
    note(f"begun:{order}")
    time.sleep(seconds)
    idempotency.still_mine()
    note(f"paid:{order}")
    return order


@app.task(base=BaseTask, name="tests.alone")
def alone(name: str, seconds: float) -> None:
    """Note when a lock is got and given back."""
    with lock(name, lease=1) as held:
        note(f"in:{name}")
        time.sleep(seconds)
        held.check()
        note(f"out:{name}")


@app.task(base=BaseTask, name="tests.limited")
@limited(f"{RATE}/s", key="{name}")
def start(name: str) -> None:
    """Note when it may start."""
    note(f"started:{name}")


@app.task(base=BaseTask, name="tests.call", max_retries=20, retry_backoff_max=1)
def call(name: str) -> None:
    """Call a server that fails until it is told not to."""

    def serve() -> None:
        note(f"called:{name}")
        if not store.client().exists(f"{EFFECTS}:well:{name}"):
            raise TransientError("on purpose")

    Circuit(name, failures=3, pause=PAUSE).call(serve)
    note(f"served:{name}")


@app.task(base=UniqueTask, name="tests.reindex", unique_for=timedelta(minutes=5))
def reindex(name: str, seconds: float = 0) -> None:
    """Note that it runs."""
    note(f"reindexed:{name}")
    time.sleep(seconds)


@app.task(base=BaseTask, name="tests.send_reindex")
def send_reindex(name: str, seconds: float = 0) -> None:
    """Send a unique task as a project does, and note the id."""
    note(f"sent:{name}", str(reindex.delay(name, seconds).id))
