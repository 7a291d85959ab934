"""Which tasks clients may send, and with what: the type of the project's table.

    ALLOWED = Catalogue({heartbeat.beat.name: NoArguments, reports.totals.name: Totals})

A task that is not in it cannot be sent, whatever its name.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .problems import of_fields


class Arguments(BaseModel):
    """Arguments of a task; others than the fields are refused."""

    model_config = ConfigDict(extra="forbid")


class NoArguments(Arguments):
    """Nothing."""


class Catalogue(dict[str, type[Arguments]]):
    """The arguments of each task, by its name."""

    def checked(
        self, name: str, arguments: dict[str, Any], field: str = "arguments"
    ) -> dict[str, Any]:
        """Return the arguments of a task as its message holds them.

        Args:
            name: The task.
            arguments: What a client gave.
            field: Where that stands in its request.

        Raises:
            Problem: The task is not allowed, or the arguments are not valid.
        """
        model = self.get(name)
        if model is None:
            message = f"use one of {', '.join(self)}"
            raise of_fields([{"loc": [*field.split(".")[:-1], "task"], "msg": message}])
        try:
            return model.model_validate(arguments).model_dump(mode="json")
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False, include_context=False)
            raise of_fields(
                {"loc": [*field.split("."), *detail["loc"]], "msg": detail["msg"]}
                for detail in details
            ) from None
