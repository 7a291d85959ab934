"""A signal that blocks only the main loop of a worker."""

import ctypes
import signal
from typing import Any

from celery.signals import worker_ready  # type: ignore[import-not-found,import-untyped,unused-ignore]

#: As blocking code in C does it: other threads go on, greenlets do not.
SLEEP = ctypes.CDLL(None).sleep


@worker_ready.connect  # type: ignore[untyped-decorator,unused-ignore]
def listen(**_: Any) -> None:
    """Wait for the signal."""
    signal.signal(signal.SIGUSR2, lambda *_: SLEEP(600))
