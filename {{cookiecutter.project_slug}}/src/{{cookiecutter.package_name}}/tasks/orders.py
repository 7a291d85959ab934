"""The steps of an order (reserve, charge, ship), and the task `cancel`, which undoes them.

Each step creates a resource at one of the shop's services, named after the order, and `cancel`
deletes it, so each may run twice. A step is recorded before it is done, because a call that timed
out may have taken effect. No step begins after `cancel` has begun, and only one task works on an
order at a time.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

from ..celery import app
from ..queues import QueueName
from ..runtime import answers
from ..runtime.errors import PermanentError
from ..runtime.guards.circuit import Circuit
from ..runtime.guards.lock import lock
from ..runtime.redis import store
from ..runtime.tasks.http import HTTPTask
from ..settings import settings
from . import notifications

if TYPE_CHECKING:
    import httpx

#: How long the steps of an order are remembered.
KEPT = timedelta(days=30)

#: Recorded in place of a step when the order has been cancelled.
CANCELLED = b"cancelled"


class Order(TypedDict):
    """An order. Prices are in cents."""

    id: str
    email: str
    items: dict[str, int]
    price: int


class OrderTask(HTTPTask):
    """A task that calls the services of the shop."""

    def do(self, step: str, order: Order) -> None:
        """Do a step.

        Raises:
            PermanentError: The service refuses, or the order has been cancelled.
            TransientError: The service fails.
        """
        with lock(f"order:{order['id']}"):
            steps = begun(order)
            if CANCELLED in steps:
                raise PermanentError(f"order {order['id']} has been cancelled")
            if step.encode() not in steps:
                note(order, step)
            answers.raise_for_response(self.ask("PUT", step, order))

    def undo(self, step: str, order: Order) -> None:
        """Undo a step, if it was done.

        Raises:
            PermanentError: The service refuses.
            TransientError: The service fails.
        """
        response = self.ask("DELETE", step, order)
        if response.status_code != HTTPStatus.NOT_FOUND:
            answers.raise_for_response(response)

    def ask(self, method: str, step: str, order: Order) -> httpx.Response:
        """Call the service of a step, unless its circuit is open; return its answer or refusal."""
        url = f"{settings().shop_url}/{step}/{quote(order['id'], safe='')}"
        headers = self.idempotency_headers(f"{method}-{step}-{order['id']}")

        def send() -> httpx.Response:
            with answers.calling(f"{method} {url}"):
                response = self.http.request(
                    method, url, json=order, headers=headers, timeout=settings().webhook_timeout
                )
            if response.is_server_error:
                answers.raise_for_response(response)
            return response

        return Circuit(step).call(send)


def key(order: Order) -> str:
    """Return the Redis key of the steps of an order that were begun."""
    return store.key("order", order["id"])


def begun(order: Order) -> list[bytes]:
    """Return the steps that were begun, the first one first."""
    steps: list[bytes] = store.client().lrange(key(order), 0, -1)
    return steps


def note(order: Order, step: str | bytes) -> None:
    """Record a step before it is done."""
    with store.client().pipeline() as both:
        both.rpush(key(order), step).expire(key(order), KEPT).execute()


@app.task(base=OrderTask, bind=True, name="orders.reserve", queue=QueueName.IO)
def reserve(self: OrderTask, order: Order) -> None:
    """Reserve the ordered items."""
    self.do("reservations", order)


@app.task(base=OrderTask, bind=True, name="orders.charge", queue=QueueName.IO)
def charge(self: OrderTask, order: Order) -> None:
    """Charge the customer."""
    self.do("charges", order)


@app.task(base=OrderTask, bind=True, name="orders.ship", queue=QueueName.IO)
def ship(self: OrderTask, order: Order) -> None:
    """Ship the parcel."""
    self.do("shipments", order)


# Retry for half a day, because a step that is not undone costs somebody money.
@app.task(base=OrderTask, bind=True, name="orders.cancel", queue=QueueName.IO, max_retries=80)
def cancel(self: Any, order: Order) -> None:
    """Undo the steps that were begun, the last one first, and notify the customer."""
    with lock(f"order:{order['id']}"):
        steps = begun(order)
        if CANCELLED not in steps:
            note(order, CANCELLED)
        for step in reversed(steps):
            if step != CANCELLED:
                self.undo(step.decode(), order)
                store.client().lrem(key(order), 1, step)
    text = f"We are sorry: we could not complete order {order['id']}. You will not be charged.\n"
    notifications.send_mail.delay(order["email"], f"Order {order['id']} is cancelled", text)
