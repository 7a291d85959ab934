"""A limit that the whole fleet shares.

Celery's own `rate_limit` is one for each worker, and a task that waits for it holds a slot of it.

    @app.task(name="crm.update")
    @limited("50/s")
    def update(contact_id: int) -> None: ...

Starts are spaced evenly. In no time span are there more than the burst and what the rate allows in
it; a start may be late by 40 ms, or by a tenth of the space between two. A task waits in its worker
for a slot that is near, and goes back to its queue otherwise, with a countdown to the end of those
that were sent back before it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from ..errors import NotNowError
from ..redis import store
from .calls import Key, named, task_name, wrap
from .idempotency import script

RATE = re.compile(r"(\d+(?:\.\d+)?)/([smh])")
SECONDS = {"s": 1, "m": 60, "h": 3600}

#: Seconds that a task may wait in its worker.
PATIENCE = 0.5

#: Seconds that a task may be late for its slot, at least, and how many slots it may miss.
#: A process that was busy or stood still would otherwise start all at once what has waited in it.
TOLERANCE = 0.04
TRIES = 3

#: Take the next slot if it is near; return whether, and the microseconds until then. The other key
#: is the end of the line of those that were sent back. The clock is Redis's own.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local slot = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now - interval * (burst - 1))
local taken, key = 1, KEYS[1]
local next = slot
if slot - now > patience then
  taken, key = 0, KEYS[2]
  next = math.max(tonumber(redis.call('GET', key) or 0), slot)
end
local free = next + interval
local expires = math.ceil((free - now + interval * burst) / 1000) + 1000
redis.call('SET', key, string.format('%.0f', free), 'PX', expires)
return { taken, string.format('%.0f', math.max(0, next - now)) }
"""


class OverLimitError(NotNowError):
    """The fleet may not do more of this for now."""


def interval(rate: str) -> float:
    """Return the seconds between two starts.

    Raises:
        ValueError: It is no rate.
    """
    if not (match := RATE.fullmatch(rate)) or not float(match[1]):
        raise ValueError(f"rate {rate!r} is refused: use a number above 0 and /s, /m or /h")
    return SECONDS[match[2]] / float(match[1])


def take(name: str, rate: str, burst: int = 1) -> None:
    """Wait for the next slot of a limit.

    Args:
        name: The limit's name.
        rate: How many in a second, minute or hour, such as `50/s`.
        burst: How many may start at once after a pause.

    Raises:
        OverLimitError: The next slot is too far away, or the process too busy to meet one.
    """
    space = interval(rate)
    tolerance = max(TOLERANCE, space / 10)
    times = [round(seconds * 1_000_000) for seconds in (space, PATIENCE)]
    keys = [store.key("rate", name), store.key("rate", name, "line")]
    for _ in range(TRIES):
        asked = time.monotonic()
        taken, wait = script(TAKE)(keys, [times[0], burst, times[1]], client=store.client())
        seconds = int(wait) / 1_000_000
        if not taken:
            raise OverLimitError(f"{name} is limited to {rate}", seconds)
        time.sleep(seconds)
        if time.monotonic() - asked - seconds <= tolerance:
            return
    raise OverLimitError(f"{name} missed its slots, since this process is busy", PATIENCE)


def limited(
    rate: str, *, burst: int = 1, key: Key = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let the whole fleet start a task no more often than a rate allows.

    Args:
        rate: How many in a second, minute or hour, such as `50/s`.
        burst: How many may start at once after a pause.
        key: What has a limit of its own, such as `"{customer_id}"`; without it, the task.

    Raises:
        ValueError: The rate is none.
    """
    interval(rate)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            take(f"{task_name(function)}:{named(function, key, args, kwargs)}", rate, burst)
            return function(*args, **kwargs)

        return wrap(function, call)

    return decorate
