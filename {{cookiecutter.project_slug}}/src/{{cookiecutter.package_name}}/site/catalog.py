"""What may be started from outside, and with which arguments. Nothing else may."""

from __future__ import annotations

{% if cookiecutter.examples %}
from datetime import date
{% endif %}
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict{{ ", Field, PositiveInt" if cookiecutter.examples }}

{% if cookiecutter.examples %}
from ..shop import tasks as shop
from ..tasks import heartbeat, reports
from ..tasks.base import BaseTask
{% else %}
from ..tasks import heartbeat
from ..tasks.base import BaseTask
{% endif %}


class Arguments(BaseModel):
    """Arguments from outside: what is not named here is refused."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Arguments):
    """No arguments."""


{% if cookiecutter.examples %}
class Totals(Arguments):
    """Those of `reports.totals`."""

    source: str = Field(max_length=200)
    group_by: str = Field(max_length=100)
    amount: str = Field(max_length=100)


class PaymentReport(Arguments):
    """Those of `payments.report`."""

    since: date


class Mailing(Arguments):
    """Those of `mailings.send`."""

    mailing_id: PositiveInt


{% endif %}
class Entry(NamedTuple):
    """A task and the form of its arguments."""

    task: BaseTask
    arguments: type[Arguments] = Nothing


CATALOG: dict[str, Entry] = {
    "heartbeat": Entry(heartbeat.beat),
{% if cookiecutter.examples %}
    "totals": Entry(reports.totals, Totals),
    "payment-report": Entry(shop.report, PaymentReport),
    "mailing": Entry(shop.send_mailing, Mailing),
{% endif %}
}
