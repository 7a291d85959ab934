"""Which tasks clients may send, and with what: the one table that decides it.

A task that is not here cannot be sent, whatever its name. Give only what a stranger may start: no
URLs that a worker would call, no addresses that it would write to.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict{{ ", Field" if cookiecutter.__examples }}, ValidationError

from ..celery import app
from ..tasks import heartbeat{{ ", reports" if cookiecutter.__examples }}
from .problems import of_fields


class Arguments(BaseModel):
    """Arguments of a task; others than the fields are refused."""

    model_config = ConfigDict(extra="forbid")


class NoArguments(Arguments):
    """Nothing."""
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
ALLOWED: dict[str, type[Arguments]] = {
    heartbeat.beat.name: NoArguments,
{% if cookiecutter.__examples %}
    reports.totals.name: Totals,
{% endif %}
}


def checked(name: str, arguments: dict[str, Any], field: str = "arguments") -> dict[str, Any]:
    """Return the arguments of a task as its message holds them.

    Args:
        name: The task.
        arguments: What a client gave.
        field: Where that stands in its request.

    Raises:
        Problem: The task is not allowed, or the arguments are not valid.
    """
    model = ALLOWED.get(name)
    if model is None:
        message = f"use one of {', '.join(ALLOWED)}"
        raise of_fields([{"loc": [*field.split(".")[:-1], "task"], "msg": message}])
    try:
        return model.model_validate(arguments).model_dump(mode="json")
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        raise of_fields(
            {"loc": [*field.split("."), *detail["loc"]], "msg": detail["msg"]} for detail in details
        ) from None


def described(name: str) -> str:
    """Return the first line of what a task says about itself."""
    return (app.tasks[name].__doc__ or "").strip().partition("\n")[0]
