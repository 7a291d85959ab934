"""Settings of the result backends that need no server of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from .environment import LOCAL_FOLDER
from .settings import Settings
from .values import Seconds


def results_in_files() -> str:
    """Return the URL of a folder that stands for a server with results."""
    return f"file://{LOCAL_FOLDER.absolute() / 'results'}"


class NoResults(Settings):
    """Nobody learns what a task returns."""


class Results(Settings):
    """What a task returns is sent somewhere."""

    result_backend: str
    result_schemes: ClassVar[tuple[str, ...]] = ("file", "cache+memory")

    @classmethod
    def in_memory(cls) -> dict[str, Any]:
        """Keep results in the process of the test."""
        return {**super().in_memory(), "result_backend": "cache+memory://"}


class KeptResults(Results):
    """Any process can read results, until they expire."""

    # Call the error callback of a chord once, when all tasks of its header have ended.
    task_allow_error_cb_on_chord_header: bool = False
    result_expires: Seconds = 24 * 3600


class RPCResults(Results):
    """Results are messages to the caller; no other process can read them."""

    result_backend: str = "rpc://"
    result_schemes: ClassVar[tuple[str, ...]] = ("rpc", *Results.result_schemes)

    @classmethod
    def on_files(cls) -> dict[str, Any]:
        """Without RabbitMQ, keep results in files."""
        return {**super().on_files(), "result_backend": results_in_files()}
