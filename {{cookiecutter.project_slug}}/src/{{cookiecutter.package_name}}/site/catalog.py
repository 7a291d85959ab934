"""The catalogue of tasks that clients may send, with the arguments of each.

A task that is not listed here cannot be sent.
"""

from __future__ import annotations

{% if cookiecutter.__gallery %}
from datetime import date

{% endif %}
{% if cookiecutter.__examples %}
from pydantic import Field, PositiveInt

from ..mailings import tasks as mailings
{% endif %}
{% if cookiecutter.__gallery %}
from ..payments import tasks as payments
{% endif %}
from ..runtime.web.catalogue import {{ "Arguments, " if cookiecutter.__examples }}Catalogue, NoArguments
from ..tasks import heartbeat{{ ", reports" if cookiecutter.__examples }}
{% if cookiecutter.__examples %}


class Totals(Arguments):
    """The arguments of `reports.totals`."""

    source: str = Field(
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\.csv$",
        max_length=255,
        description="pointer to a CSV file among the artifacts",
        examples=["demo/sales.csv"],
    )
    group_by: str = Field(max_length=64, description="column to group by", examples=["region"])
    amount: str = Field(max_length=64, description="column to add up", examples=["amount"])


class Mailing(Arguments):
    """The arguments of `mailings.send`."""

    mailing_id: PositiveInt

{% endif %}
{% if cookiecutter.__gallery %}

class PaymentReport(Arguments):
    """The arguments of `payments.report`."""

    since: date

{% endif %}

#: The arguments of each task, by task name.
ALLOWED = Catalogue(
    {
        heartbeat.beat.name: NoArguments,
{% if cookiecutter.__examples %}
        reports.totals.name: Totals,
        mailings.send.name: Mailing,
{% endif %}
{% if cookiecutter.__gallery %}
        payments.report.name: PaymentReport,
{% endif %}
    },
{% if cookiecutter.__examples and cookiecutter.__results %}
    # Tasks whose result is a pointer to a file that clients may download.
    artifacts=[reports.totals.name],
{% endif %}
)

#: Tasks that can also be sent by the older path `/jobs/NAME`, by that name.
JOBS = {
    "heartbeat": heartbeat.beat.name,
{% if cookiecutter.__examples %}
    "totals": reports.totals.name,
    "mailing": mailings.send.name,
{% endif %}
{% if cookiecutter.__gallery %}
    "payment-report": payments.report.name,
{% endif %}
}
