"""Chords: running tasks in parallel, and going on when all have succeeded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import chord
from celery.canvas import Signature


def fan_out(header: Iterable[Signature[Any]], body: Signature[Any]) -> chord:
    """Return a chord; make all chords with this function.

    Error callbacks of the body are called once, when the last task of the header has ended and at
    least one has failed; callbacks on the tasks of the header would be called for each failure. A
    task that replaces itself by a chord must be the last of its chain, with all further steps in
    the body; otherwise Celery loses the error callback of the chord.

    Args:
        header: The tasks that run in parallel.
        body: The task that runs afterwards, with the list of results as its first argument.

    Raises:
        ValueError: The header is empty, or a task in it ignores its result; on some result
            backends, the body would then never run.
    """
    tasks = list(header)
    if not tasks:
        raise ValueError("a chord needs at least one task in its header")
    for task in tasks:
        if ignores_result(task):
            raise ValueError(
                f"the task {task.task} is in the header of a chord, which needs its result:"
                " set ignore_result=False"
            )
    return chord(tasks, body)


def ignores_result(signature: Signature[Any]) -> bool:
    """Whether the result of a signature is dropped; for a chain, that of its last task counts."""
    is_chain = signature["subtask_type"] == "chain"
    last = signature["kwargs"]["tasks"][-1] if is_chain else signature
    return bool(last.options.get("ignore_result", last.type.ignore_result))
