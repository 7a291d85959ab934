"""Import a file of orders."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from celery import chain
from celery.canvas import Signature

from ..tasks import imports


def import_file(url: str, import_id: str = "", rows_per_piece: int = 1000) -> Signature[Any]:
    """Return a workflow that imports a CSV file and gives an `imports.Summary`.

    When a step fails for good, everything that the import wrote is deleted.

    Args:
        url: Where the file is; whoever names it makes the worker call it.
        import_id: Name of the import: a second one of the same name gives the first one's result.
        rows_per_piece: How many rows one task validates.

    Raises:
        PermanentError: The name is no file name.
    """
    import_id = imports.checked(import_id or uuid4().hex)
    steps = chain(imports.download.si(url, import_id), imports.split.si(import_id, rows_per_piece))
    return steps.on_error(imports.abandon.si(import_id))
