"""Batches of small tasks in few messages, for tasks that cost less than a message.

A batch runs in one task, `celery.map` or `celery.starmap`, which retries nothing. So an item must
not raise an error there: it returns what is wrong, or is sent as a task of its own (`ItemTask`).
Use a group of tasks instead for items that take seconds or wait for other servers.
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
        pointers: The pointers to the files.
        manifest: The pointer to the manifest.
    """
    return chain(archive.checksum.map(list(pointers)), archive.write_manifest.s(manifest))


def verify(checksums: Mapping[str, str]) -> Signature[Any]:
    """Return a batch that compares files with their checksums; each damaged one fails as a task.

    Args:
        checksums: The checksum for each pointer, as in the manifest.
    """
    return archive.verify.starmap(list(checksums.items()))


def erase(pointers: Iterable[str], per_message: int = 100) -> group:
    """Return batches that delete files in parallel.

    Args:
        pointers: The pointers to the files.
        per_message: The number of files per message.
    """
    return archive.erase.chunks([(pointer,) for pointer in pointers], per_message).group()
