"""What may be started from outside, and with which arguments. Nothing else may."""

from __future__ import annotations

{% if cookiecutter.__gallery %}
from datetime import date
{% endif %}
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict{{ ", Field, PositiveInt" if cookiecutter.__examples }}

{% if cookiecutter.__examples %}
from ..mailings import tasks as mailings
{% endif %}
from ..runtime.tasks.base import BaseTask
{% if cookiecutter.__gallery %}
from ..shop import tasks as shop
{% endif %}
from ..tasks import heartbeat{{ ", reports" if cookiecutter.__examples }}


class Arguments(BaseModel):
    """Arguments from outside: what is not named here is refused."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Arguments):
    """No arguments."""


{% if cookiecutter.__examples %}
class Totals(Arguments):
    """Those of `reports.totals`."""

    source: str = Field(max_length=200)
    group_by: str = Field(max_length=100)
    amount: str = Field(max_length=100)


class Mailing(Arguments):
    """Those of `mailings.send`."""

    mailing_id: PositiveInt


{% endif %}
{% if cookiecutter.__gallery %}
class PaymentReport(Arguments):
    """Those of `payments.report`."""

    since: date


{% endif %}
class Entry(NamedTuple):
    """A task and the form of its arguments."""

    task: BaseTask
    arguments: type[Arguments] = Nothing


CATALOG: dict[str, Entry] = {
    "heartbeat": Entry(heartbeat.beat),
{% if cookiecutter.__examples %}
    "totals": Entry(reports.totals, Totals),
    "mailing": Entry(mailings.send, Mailing),
{% endif %}
{% if cookiecutter.__gallery %}
    "payment-report": Entry(shop.report, PaymentReport),
{% endif %}
}
