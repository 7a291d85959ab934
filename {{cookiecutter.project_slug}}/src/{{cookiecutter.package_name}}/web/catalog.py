"""Which tasks clients may send, and with what: the one table that decides it.

A task that is not here cannot be sent, whatever its name. Give only what a stranger may start: no
URLs that a worker would call, no addresses that it would write to.
"""

from __future__ import annotations

{% if cookiecutter.__examples %}
from pydantic import Field

{% endif %}
from ..runtime.web.catalogue import {{ "Arguments, " if cookiecutter.__examples }}Catalogue, NoArguments
from ..tasks import heartbeat{{ ", reports" if cookiecutter.__examples }}
{% if cookiecutter.__examples %}


class Totals(Arguments):
    """What `reports.totals` adds up."""

    source: str = Field(
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\.csv$",
        max_length=255,
        description="pointer to a CSV file among the artifacts",
        examples=["demo/sales.csv"],
    )
    group_by: str = Field(max_length=64, description="column to group by", examples=["region"])
    amount: str = Field(max_length=64, description="column to add up", examples=["amount"])

{% endif %}

#: The arguments of each task, by its name.
ALLOWED = Catalogue(
    {
        heartbeat.beat.name: NoArguments,
{% if cookiecutter.__examples %}
        reports.totals.name: Totals,
{% endif %}
    }
)
