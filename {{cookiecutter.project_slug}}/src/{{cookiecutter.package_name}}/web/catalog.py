"""The catalogue of tasks that clients may send, with the arguments of each.

A task that is not listed here cannot be sent. List only tasks that a stranger may start: none that
call a URL or write to an address that the client chooses.
"""

from __future__ import annotations

{% if cookiecutter.__examples %}
from pydantic import Field

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

{% endif %}

#: The arguments of each task, by task name.
ALLOWED = Catalogue(
    {
        heartbeat.beat.name: NoArguments,
{% if cookiecutter.__examples %}
        reports.totals.name: Totals,
{% endif %}
    },
{% if cookiecutter.__examples and cookiecutter.__results %}
    # Tasks whose result is a pointer to a file that clients may download.
    artifacts=[reports.totals.name],
{% endif %}
)
