"""kombu's file transport, made safe for processes that start at the same time. Development only.

kombu creates the file of a message before it writes the content, so a worker can read half a
message. Two processes that bind their first queue at once overwrite each other's binding
(kombu/transport/filesystem.py, `_put` and `_queue_bind`).
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.transport.filesystem import LOCK_EX, lock  # type: ignore[attr-defined]
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """A channel that writes messages in one step, and bindings one process at a time."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process reads or writes bindings, then keep others out."""
        with (Path(self.control_folder) / "lock").open("w") as file:
            lock(file, LOCK_EX)
            yield  # closing the file unlocks it

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}"
        aside = Path(self.data_folder_out) / f"{name}.part"
        aside.write_text(dumps(payload), encoding="utf-8")
        aside.replace(aside.with_suffix(".msg"))

    def get_table(self, exchange: str) -> Any:
        """Return the bindings of an exchange."""
        with self.alone():
            return super().get_table(exchange)

    def _queue_bind(self, *binding: Any) -> None:
        with self.alone():
            super()._queue_bind(*binding)

    def _delete(self, *binding: Any, **options: Any) -> None:
        with self.alone():
            super()._delete(*binding, **options)


class Transport(filesystem.Transport):
    """The transport for `filesystem://`."""

    Channel = Channel


def use() -> None:
    """Register this transport for `filesystem://`."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
