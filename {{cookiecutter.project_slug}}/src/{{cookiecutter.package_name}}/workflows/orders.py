"""An order as a saga: if a step fails for good, the earlier steps are undone in reverse order."""

from __future__ import annotations

from typing import Any

from celery import chain
from celery.canvas import Signature

from ..tasks import notifications, orders


def place(order: orders.Order) -> Signature[Any]:
    """Return a workflow that reserves, charges and ships an order, and notifies the customer.

    A failing e-mail undoes nothing, because the parcel is already on its way.

    Args:
        order: The order.
    """
    steps = [task.si(order) for task in (orders.reserve, orders.charge, orders.ship)]
    for step in steps:
        step.on_error(orders.cancel.si(order))
    text = f"Order {order['id']} is on its way.\n"
    mail = notifications.send_mail.si(order["email"], f"Order {order['id']}", text)
    return chain(*steps, mail)
