"""On SIGUSR2, a worker writes where each of its threads, or greenlets, is."""

from __future__ import annotations

import faulthandler
import gc
import signal
import sys
import traceback
from importlib import import_module
from typing import Any

if "gevent.monkey" in sys.modules:
    gevent: Any = import_module("gevent")
    greenlet: Any = import_module("greenlet")

    def show() -> None:
        """Write the stacks of all greenlets that wait."""
        for waiting in (one for one in gc.get_objects() if isinstance(one, greenlet.greenlet) and one.gr_frame):
            print(waiting, file=sys.__stderr__)
            traceback.print_stack(waiting.gr_frame, file=sys.__stderr__)

    gevent.signal_handler(signal.SIGUSR2, show)
else:
    faulthandler.register(signal.SIGUSR2, 2)
