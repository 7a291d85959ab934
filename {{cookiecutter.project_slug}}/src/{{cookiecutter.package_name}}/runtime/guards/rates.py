"""A rate limit that all workers share.

Celery's own `rate_limit` applies to each worker alone, and waiting tasks take up its prefetch
slots.

    @app.task(name="crm.update")
    @limited("50/s")
    def update(contact_id: int) -> None: ...

Starts are spaced evenly. No period has more starts than the burst plus what the rate allows; a
start may be late by 40 ms, or by a tenth of the interval. A task waits in its worker if its slot is
near. Otherwise it goes back to its queue, with a countdown that puts it behind the tasks that were
sent back before it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import NotNowError
from ..observer import observer
from ..redis import store
from .calls import Key, named, task_name, wrap
from .idempotency import script

RATE = re.compile(r"(\d+(?:\.\d+)?)/([smh])")
SECONDS = {"s": 1, "m": 60, "h": 3600}

#: The longest wait of a task in its worker, in seconds.
PATIENCE = 0.5

#: The least seconds by which a task may miss its slot, and how many slots it may miss.
#: Without it, a process that was busy or frozen would start all its waiting tasks at once.
TOLERANCE = 0.04
TRIES = 3

#: Takes the next slot if it is near; returns whether it did, and the microseconds until the slot.
#: The other key is the end of the line of tasks that were sent back. The clock is that of Redis.
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
    """The rate limit is reached for now."""


def interval(rate: str) -> float:
    """Return the seconds between two starts.

    Raises:
        ValueError: The rate is not valid.
    """
    if not (match := RATE.fullmatch(rate)) or not float(match[1]):
        raise ValueError(
            f"{rate!r} is not a valid rate: use a number above 0 with /s, /m or /h, such as 50/s"
        )
    return SECONDS[match[2]] / float(match[1])


def take(name: str, rate: str, burst: int = 1) -> None:
    """Wait for the next slot of a rate limit.

    Args:
        name: The name of the limit.
        rate: Starts per second, minute or hour, such as `50/s`.
        burst: How many may start at once after a pause.

    Raises:
        OverLimitError: The next slot is too far ahead, or this process is too busy to use it.
    """
    space = interval(rate)
    tolerance = max(TOLERANCE, space / 10)
    times = [round(seconds * 1_000_000) for seconds in (space, PATIENCE)]
    keys = [store.key("rate", name), store.key("rate", name, "line")]
    # Without what has a limit of its own, such as a customer: there may be many.
    count = partial(observer().count, "rate_limit_calls", limit=name.partition(":")[0])
    for _ in range(TRIES):
        asked = time.monotonic()
        taken, wait = script(TAKE)(keys, [times[0], burst, times[1]], client=store.client())
        seconds = int(wait) / 1_000_000
        if not taken:
            count(outcome="put back")
            raise OverLimitError(f"{name} is limited to {rate}", seconds)
        time.sleep(seconds)
        if time.monotonic() - asked - seconds <= tolerance:
            count(outcome="started")
            return
    count(outcome="put back")
    raise OverLimitError(f"{name} missed its slots because this process is busy", PATIENCE)


def limited(
    rate: str, *, burst: int = 1, key: Key = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Limit how often a task starts, over all workers together.

    Args:
        rate: Starts per second, minute or hour, such as `50/s`.
        burst: How many may start at once after a pause.
        key: What has a separate limit, such as `"{customer_id}"`; by default, the task as a whole.

    Raises:
        ValueError: The rate is not valid.
    """
    interval(rate)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            take(f"{task_name(function)}:{named(function, key, args, kwargs)}", rate, burst)
            return function(*args, **kwargs)

        return wrap(function, call)

    return decorate
