"""Fan out to parallel tasks and go on when all have succeeded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import chord
from celery.canvas import Signature


def fan_out(header: Iterable[Signature[Any]], body: Signature[Any]) -> chord:
    """Return a chord, which is how every chord should be made.

    Error callbacks of the body are called once, when the last task of the header has ended and at
    least one has failed; a callback on the tasks of the header would be called for each failure. A
    task that replaces itself by a chord must be the last of its chain, with all further steps in
    the body: Celery loses the error callback of the chord otherwise.

    Args:
        header: What runs in parallel.
        body: What runs afterwards, with the list of results as its first argument.

    Raises:
        ValueError: The header is empty, or a task in it ignores its result: then the body would
            never run, on some result backends.
    """
    tasks = list(header)
    if not tasks:
        raise ValueError("a chord needs a task in its header")
    for task in tasks:
        if ignores_result(task):
            raise ValueError(f"{task.task} is in the header of a chord: set ignore_result=False")
    return chord(tasks, body)


def ignores_result(signature: Signature[Any]) -> bool:
    """Whether a result is dropped; that of a chain is the result of its last task."""
    is_chain = signature["subtask_type"] == "chain"
    last = signature["kwargs"]["tasks"][-1] if is_chain else signature
    return bool(last.options.get("ignore_result", last.type.ignore_result))
