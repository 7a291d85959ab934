"""The steps of an order: reserve, charge, ship. What undoes them is one task, `cancel`.

Each step makes a resource of the shop's services that is named by the order, and `cancel` deletes
it: any of them may run twice. A step is noted before it is done, since a call that timed out may
have had its effect. No step begins after `cancel` has, and only one of them works on an order at a
time.
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

#: How long it is known what was done for an order.
KEPT = timedelta(days=30)

#: In place of a step, when the order has been cancelled.
CANCELLED = b"cancelled"


class Order(TypedDict):
    """An order. Prices are in cents."""

    id: str
    email: str
    items: dict[str, int]
    price: int


class OrderTask(HTTPTask):
    """Call the services of the shop."""

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
        """Undo a step, which may not have been done.

        Raises:
            PermanentError: The service refuses.
            TransientError: The service fails.
        """
        response = self.ask("DELETE", step, order)
        if response.status_code != HTTPStatus.NOT_FOUND:
            answers.raise_for_response(response)

    def ask(self, method: str, step: str, order: Order) -> httpx.Response:
        """Call the service of a step, unless its circuit is open; a refusal is an answer."""
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
    """Return the key of the steps that were begun."""
    return store.key("order", order["id"])


def begun(order: Order) -> list[bytes]:
    """Return the steps that were begun, in their order."""
    steps: list[bytes] = store.client().lrange(key(order), 0, -1)
    return steps


def note(order: Order, step: str | bytes) -> None:
    """Note a step before it is done."""
    with store.client().pipeline() as both:
        both.rpush(key(order), step).expire(key(order), KEPT).execute()


@app.task(base=OrderTask, bind=True, name="orders.reserve", queue=QueueName.IO)
def reserve(self: OrderTask, order: Order) -> None:
    """Reserve what was ordered."""
    self.do("reservations", order)


@app.task(base=OrderTask, bind=True, name="orders.charge", queue=QueueName.IO)
def charge(self: OrderTask, order: Order) -> None:
    """Take the money."""
    self.do("charges", order)


@app.task(base=OrderTask, bind=True, name="orders.ship", queue=QueueName.IO)
def ship(self: OrderTask, order: Order) -> None:
    """Hand the parcel over."""
    self.do("shipments", order)


# Half a day of tries, since a step that is not undone is somebody's money.
@app.task(base=OrderTask, bind=True, name="orders.cancel", queue=QueueName.IO, max_retries=80)
def cancel(self: Any, order: Order) -> None:
    """Undo the steps that were begun, the last one first, and tell the customer."""
    with lock(f"order:{order['id']}"):
        steps = begun(order)
        if CANCELLED not in steps:
            note(order, CANCELLED)
        for step in reversed(steps):
            if step != CANCELLED:
                self.undo(step.decode(), order)
                store.client().lrem(key(order), 1, step)
    text = f"We are sorry: order {order['id']} could not be carried out, and costs nothing.\n"
    notifications.send_mail.delay(order["email"], f"Order {order['id']} is cancelled", text)
