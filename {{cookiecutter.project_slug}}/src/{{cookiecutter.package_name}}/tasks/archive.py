"""Checksums and deletion of artifacts, in small tasks for batches (`workflows/archive.py`)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from celery.utils.log import get_task_logger

from ..artifacts import artifacts
from ..celery import app
from ..queues import Priority, QueueName
from ..runtime.errors import PermanentError
from ..runtime.tasks.base import BaseTask

logger = get_task_logger(__name__)


class ItemTask(BaseTask):
    """A task for batches: an item that fails is sent as a task of its own, and the others go on."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task; `called_directly` tells a batch's call from a worker's."""
        if not self.request.called_directly:
            return self.run(*args, **kwargs)
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:  # any error: on its own, the task is retried or fails visibly
            logger.warning("%s%r failed in a batch and is sent alone: %s", self.name, args, error)
            self.apply_async(args, kwargs)
            return None


def sha256(pointer: str) -> str:
    """Return the SHA-256 of a file.

    Raises:
        PermanentError: There is no such file.
    """
    digest = hashlib.sha256()
    with artifacts.open_binary(pointer) as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


@app.task(name="archive.checksum", queue=QueueName.BULK, priority=Priority.LOW)
def checksum(pointer: str) -> tuple[str, str | None]:
    """Return a pointer and its checksum, or None instead if the file cannot be read."""
    try:
        return pointer, sha256(pointer)
    except (OSError, PermanentError) as error:
        logger.error("Could not compute the checksum of %s: %s", pointer, error)
        return pointer, None


@app.task(name="archive.write_manifest", queue=QueueName.BULK, priority=Priority.LOW)
def write_manifest(checksums: list[tuple[str, str | None]], manifest: str) -> str:
    """Write a file with checksums by pointer, and return the pointer to it."""
    return artifacts.save(manifest, json.dumps(dict(checksums), indent=1).encode())


@app.task(base=ItemTask, name="archive.verify", queue=QueueName.BULK, priority=Priority.LOW)
def verify(pointer: str, expected: str) -> None:
    """Compare a file with its checksum.

    Raises:
        PermanentError: It differs, or there is no such file.
    """
    if sha256(pointer) != expected:
        raise PermanentError(f"artifact {pointer!r} is damaged")


@app.task(base=ItemTask, name="archive.erase", queue=QueueName.BULK, priority=Priority.LOW)
def erase(pointer: str) -> None:
    """Delete a file if it exists."""
    artifacts.remove(pointer)
