"""An order, as a saga: when a step fails for good, those before it are undone in reverse order."""

from __future__ import annotations

from typing import Any

from celery import chain
from celery.canvas import Signature

from ..tasks import notifications, orders


def place(order: orders.Order) -> Signature[Any]:
    """Return a workflow that reserves, charges and ships an order, and tells the customer.

    A mail that cannot be sent undoes nothing: the parcel is on its way.

    Args:
        order: The order.
    """
    steps = [task.si(order) for task in (orders.reserve, orders.charge, orders.ship)]
    for step in steps:
        step.on_error(orders.cancel.si(order))
    text = f"Order {order['id']} is on its way.\n"
    mail = notifications.send_mail.si(order["email"], f"Order {order['id']}", text)
    return chain(*steps, mail)
