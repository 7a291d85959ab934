"""Downloads: the file to which the result of a task points."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple, Protocol
from urllib.parse import quote

from ..errors import PermanentError
from .problems import Problem

#: Bytes that are read at once.
PIECE = 65_536

#: Names that old clients understand as well, such as `curl -OJ`.
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

#: The type of a file about which its name says nothing.
UNKNOWN = "application/octet-stream"


class Files(Protocol):
    """Where artifacts are: see `artifacts.Artifacts` of the runtime."""

    def open_binary(self, pointer: str) -> IO[Any]:
        """Open a file for reading.

        Raises:
            PermanentError: There is no such file, or the pointer leads out of the store.
        """


class Download(NamedTuple):
    """An open file, and the headers of the answer that holds it."""

    file: IO[Any]
    media_type: str
    headers: dict[str, str]

    def pieces(self) -> Iterator[bytes]:
        """Yield the content, and close the file at the end."""
        with self.file:
            while piece := self.file.read(PIECE):
                yield piece


def download(files: Files, pointer: str) -> Download:
    """Open the file to which a result points.

    Raises:
        Problem: There is no such file.
    """
    try:
        file = files.open_binary(pointer)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
    except (PermanentError, IsADirectoryError, NotADirectoryError, ValueError):
        raise absent("the file of this task does not exist (any more)") from None
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": disposition(PurePosixPath(pointer).name),
        # A browser stores the file and never runs what is in it.
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return Download(file, media_type(pointer), headers)


def absent(detail: str) -> Problem:
    """Return the problem (404) for a task without a file."""
    return Problem(HTTPStatus.NOT_FOUND, detail)


def media_type(pointer: str) -> str:
    """Return the type of a file, by its name; text is UTF-8, as `Artifacts` writes it."""
    kind, encoding = mimetypes.guess_type(pointer)
    if encoding:
        return f"application/{encoding}"
    if kind and kind.startswith("text/"):
        return f"{kind}; charset=utf-8"
    return kind or UNKNOWN


def disposition(name: str) -> str:
    """Return the header that names the file: https://www.rfc-editor.org/rfc/rfc6266."""
    plain = f'; filename="{name}"' if PLAIN.fullmatch(name) else ""
    return f"attachment{plain}; filename*=UTF-8''{quote(name, safe='')}"
