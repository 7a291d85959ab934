"""Settings of result backends that need no server of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from .environment import LOCAL_FOLDER
from .settings import Settings
from .values import Seconds


def results_in_files() -> str:
    """Return the URL of a local folder that takes the place of a result backend."""
    return f"file://{LOCAL_FOLDER.absolute() / 'results'}"


class NoResults(Settings):
    """No results: the return values of tasks are dropped."""


class Results(Settings):
    """Results are sent to a result backend."""

    result_backend: str
    result_schemes: ClassVar[tuple[str, ...]] = ("file", "cache+memory")

    @classmethod
    def in_memory(cls) -> dict[str, Any]:
        """Keep results in the memory of the test's process."""
        return {**super().in_memory(), "result_backend": "cache+memory://"}


class KeptResults(Results):
    """Results that any process can read until they expire."""

    # Call a chord's error callback once, when all tasks of its header have ended.
    task_allow_error_cb_on_chord_header: bool = False
    result_expires: Seconds = 24 * 3600


class RPCResults(Results):
    """Results are messages to the caller; no other process can read them."""

    result_backend: str = "rpc://"
    result_schemes: ClassVar[tuple[str, ...]] = ("rpc", *Results.result_schemes)

    @classmethod
    def on_files(cls) -> dict[str, Any]:
        """Keep results in files if there is no RabbitMQ."""
        return {**super().on_files(), "result_backend": results_in_files()}
