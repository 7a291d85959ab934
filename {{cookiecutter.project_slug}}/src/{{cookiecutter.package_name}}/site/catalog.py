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

    source: str = Field(max_length=200)
    group_by: str = Field(max_length=100)
    amount: str = Field(max_length=100)


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
    }
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
