"""What runs, and where."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery.signals import task_prerun


@pytest.fixture
def runs(worker: None) -> Iterator[list[tuple[str, str]]]:
    """Note every run from now on: the name of the task, and its queue."""
    found: list[tuple[str, str]] = []

    def note(task: Any, **_: Any) -> None:
        found.append((task.name, task.request.delivery_info["routing_key"]))

    task_prerun.connect(note)
    yield found
    task_prerun.disconnect(note)
