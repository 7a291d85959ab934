"""Limits of Celery's own, for tasks by their names: each worker keeps them for itself.

https://docs.celeryq.dev/en/stable/userguide/configuration.html#task-annotations
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

EVERY_TASK = "*"


class Annotation(BaseModel):
    """What is set for a task."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    #: How often one worker starts it, such as `10/s`, `100/m`, `1000/h`.
    rate_limit: str = Field(pattern=r"^[0-9]+(\.[0-9]+)?/[smh]$")


class Annotations:
    """The table in the form that Celery takes.

    Celery applies `*` after a task's own row, so that `*` wins (celery/app/annotations.py,
    `resolve_all`). Here the row of the task does.
    """

    def __init__(self, table: Mapping[str, Mapping[str, Any]]) -> None:
        self.table = table

    def annotate(self, task: Any) -> dict[str, Any]:
        """Return what is set for a task."""
        return {**self.table.get(EVERY_TASK, {}), **self.table.get(task.name, {})}

    def annotate_any(self) -> None:
        """Return nothing: `annotate` has answered for every task."""
