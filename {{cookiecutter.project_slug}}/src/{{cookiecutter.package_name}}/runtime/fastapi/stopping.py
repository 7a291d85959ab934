"""How event streams learn that uvicorn is told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType

from fastapi import FastAPI

from ..web.stopping import Stopping

Handler = Callable[[int, FrameType | None], object]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """End event streams by the signals that end the server, which has its handlers by now.

    Without this, every stop would take as long as the server waits for open connections.
    """
    told = threading.Event()
    handlers: dict[signal.Signals, Handler] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                signal.signal(number, partial(tell, told, handler))
    Stopping.is_told = told.is_set
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def tell(told: threading.Event, handler: Handler, number: int, frame: FrameType | None) -> None:
    """Note a signal, and pass it on to the handler of the server."""
    told.set()
    handler(number, frame)
