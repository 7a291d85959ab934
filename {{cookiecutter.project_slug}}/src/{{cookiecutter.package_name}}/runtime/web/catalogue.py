"""The catalogue of tasks that clients may send, with the arguments of each.

    ALLOWED = Catalogue(
        {heartbeat.beat.name: NoArguments, reports.totals.name: Totals},
        artifacts=[reports.totals.name],
    )

A task that is not in the catalogue cannot be sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .problems import of_fields


class Arguments(BaseModel):
    """The arguments of a task; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")


class NoArguments(Arguments):
    """A task without arguments."""


class Catalogue(dict[str, type[Arguments]]):
    """The arguments of each task, by task name.

    Args:
        tasks: The arguments.
        artifacts: The tasks whose result is a pointer to a file that clients may download.

    Raises:
        ValueError: One of these is not in the catalogue.
    """

    def __init__(
        self, tasks: Mapping[str, type[Arguments]], artifacts: Collection[str] = ()
    ) -> None:
        super().__init__(tasks)
        self.artifacts = frozenset(artifacts)
        if unknown := sorted(self.artifacts - self.keys()):
            raise ValueError(
                f"artifacts of tasks that are not in the catalogue: {', '.join(unknown)}"
            )

    def checked(
        self, name: str, arguments: dict[str, Any], field: str = "arguments"
    ) -> dict[str, Any]:
        """Return the validated arguments of a task, as its message will hold them.

        Args:
            name: The task.
            arguments: The arguments that the client sent.
            field: The field of the request that holds them, for error messages.

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
