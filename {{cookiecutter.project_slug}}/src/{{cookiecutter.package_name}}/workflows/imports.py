"""A workflow that imports a file of orders."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from celery import chain
from celery.canvas import Signature

from ..tasks import imports


def import_file(url: str, import_id: str = "", rows_per_piece: int = 1000) -> Signature[Any]:
    """Return a workflow that imports a CSV file and returns an `imports.Summary`.

    If a step fails for good, everything that the import wrote is deleted.

    Args:
        url: The URL of the file. Workers call it, so do not accept one from strangers.
        import_id: The name of the import; a second import of this name returns the first result.
        rows_per_piece: The number of rows that one task validates.

    Raises:
        PermanentError: The name cannot be the name of a folder.
    """
    import_id = imports.checked(import_id or uuid4().hex)
    steps = chain(imports.download.si(url, import_id), imports.split.si(import_id, rows_per_piece))
    return steps.on_error(imports.abandon.si(import_id))
