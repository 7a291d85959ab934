"""Which tasks clients may send, and with what: the one table that decides it.

A task that is not here cannot be sent, whatever its name.
"""

from __future__ import annotations

{% if cookiecutter.__gallery %}
from datetime import date

{% endif %}
{% if cookiecutter.__examples %}
from pydantic import Field, PositiveInt

from ..mailings import tasks as mailings
{% endif %}
from ..runtime.web.catalogue import {{ "Arguments, " if cookiecutter.__examples }}Catalogue, NoArguments
{% if cookiecutter.__gallery %}
from ..shop import tasks as shop
{% endif %}
from ..tasks import heartbeat{{ ", reports" if cookiecutter.__examples }}
{% if cookiecutter.__examples %}


class Totals(Arguments):
    """What `reports.totals` adds up."""

    source: str = Field(max_length=200)
    group_by: str = Field(max_length=100)
    amount: str = Field(max_length=100)


class Mailing(Arguments):
    """Which mailing `mailings.send` sends."""

    mailing_id: PositiveInt

{% endif %}
{% if cookiecutter.__gallery %}

class PaymentReport(Arguments):
    """What `payments.report` lists."""

    since: date

{% endif %}

#: The arguments of each task, by its name.
ALLOWED = Catalogue(
    {
        heartbeat.beat.name: NoArguments,
{% if cookiecutter.__examples %}
        reports.totals.name: Totals,
        mailings.send.name: Mailing,
{% endif %}
{% if cookiecutter.__gallery %}
        shop.report.name: PaymentReport,
{% endif %}
    }
)

#: The tasks that can also be sent to `/jobs/NAME`, the older path, by this name.
JOBS = {
    "heartbeat": heartbeat.beat.name,
{% if cookiecutter.__examples %}
    "totals": reports.totals.name,
    "mailing": mailings.send.name,
{% endif %}
{% if cookiecutter.__gallery %}
    "payment-report": shop.report.name,
{% endif %}
}
