"""Settings of result backends that need no server of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from . import machine
from .settings import Settings
from .values import Seconds


class NoResults(Settings):
    """No results: the return values of tasks are dropped."""


class Results(Settings):
    """Results are sent to a result backend."""

    result_backend: str
    result_schemes: ClassVar[tuple[str, ...]] = ("cache+memory",)

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

    def for_celery(self) -> dict[str, Any]:
        """Keep results in the server of this machine if that takes the place of RabbitMQ."""
        settings = super().for_celery()
        if machine.is_own(self.broker_url):
            settings["result_backend"] = machine.url(machine.RESULTS)
        return settings
