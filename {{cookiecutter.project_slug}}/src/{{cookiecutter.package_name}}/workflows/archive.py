"""Many small steps in few messages: a message costs more than the step.

A batch runs in one task, `celery.map` or `celery.starmap`, which tries nothing again. So an item
must not raise there: it returns what is wrong, or goes on as a task of its own (`ItemTask`). What
takes seconds, or waits for other servers, belongs into a group of tasks instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from celery import chain, group
from celery.canvas import Signature

from ..tasks import archive


def seal(pointers: Iterable[str], manifest: str) -> Signature[Any]:
    """Return a workflow that writes the checksums of files into a manifest.

    Args:
        pointers: The files.
        manifest: Pointer to the manifest.
    """
    return chain(archive.checksum.map(list(pointers)), archive.write_manifest.s(manifest))


def verify(checksums: Mapping[str, str]) -> Signature[Any]:
    """Return a batch that compares files with their checksums; each damaged one is a failed task.

    Args:
        checksums: Checksum of each pointer, as the manifest holds them.
    """
    return archive.verify.starmap(list(checksums.items()))


def erase(pointers: Iterable[str], per_message: int = 100) -> group:
    """Return batches that delete files in parallel.

    Args:
        pointers: The files.
        per_message: How many files one message names.
    """
    return archive.erase.chunks([(pointer,) for pointer in pointers], per_message).group()
