"""Settings of redbeat, with which beat keeps its schedule in Redis.

https://redbeat.readthedocs.io/en/latest/config.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from celery.app import utils
from pydantic import BaseModel, ConfigDict, Field

from ..config.settings import Settings
from ..config.values import Count, Importable, Seconds
from ..redis.redis_options import NAMES, SCHEMES, SentinelOptions, nameless

PACKAGE = __package__.partition(".")[0]

#: URL schemes of a Redis, and of what takes its place in tests.
STORES = (*SCHEMES, "memory://", "cache+memory://")

# `celery report` and `inspect conf` hide settings whose names match this pattern. Celery does not
# know that the value of this setting holds a password, and has no setting for the names.
HIDDEN = utils.HIDDEN_SETTINGS.pattern + "|REDBEAT_REDIS_URL"  # type: ignore[attr-defined]
utils.HIDDEN_SETTINGS = re.compile(HIDDEN, re.IGNORECASE)  # type: ignore[attr-defined]


class RedBeatOptions(BaseModel):
    """Options of redbeat's Redis client, which does not use those of the broker."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # Without timeouts, a lost network would block beat for as long as the kernel retries.
    socket_timeout: Seconds = 5
    socket_connect_timeout: Seconds = 5
    socket_keepalive: bool = True
    health_check_interval: Count = 25
    # The master that Sentinel watches and how to reach the Sentinels, if these differ from the
    # broker's and the result backend's.
    master_name: str | None = None
    sentinel_kwargs: SentinelOptions = SentinelOptions()


def broken(loop_interval: float, lock_timeout: float) -> str | None:
    """Return why beat would lose its lock, in one sentence, or None.

    Args:
        loop_interval: Longest time in seconds between two ticks, each of which renews the lock.
        lock_timeout: Time in seconds after which another beat may take the lock.
    """
    if lock_timeout < 3 * loop_interval:
        return (
            f"the lock of beat ({lock_timeout:g} s) must last at least three times its longest"
            f" sleep ({loop_interval:g} s): change CELERY_REDBEAT_LOCK_TIMEOUT or"
            " CELERY_BEAT_MAX_LOOP_INTERVAL"
        )
    return None


def masterless(url: str, *places: object) -> str | None:
    """Return an error if a Sentinel URL has no master name, or None.

    Args:
        url: Where schedules are kept.
        places: Options of redbeat, the broker and the results; the first with a name counts.
    """
    names = (getattr(place, "master_name", None) for place in places)
    variable = "CELERY_REDBEAT_REDIS_OPTIONS__MASTER_NAME"
    return nameless(url, next(filter(None, names), None), variable)


class RedBeat(Settings):
    """Schedules in Redis; any number of beats may run, one of which sends."""

    beat_scheduler: Importable = f"{__package__}.redbeat:Scheduler"
    # Seconds until beat sees a schedule that another process has added; redbeat's default is 300.
    beat_max_loop_interval: Seconds = 5
    # Seconds after which another beat may take over from a dead one; with one more sleep, 30 in
    # all. redbeat's default is 25 minutes.
    redbeat_lock_timeout: Count = 25
    # Where schedules are kept; by default in the broker if that is a Redis, else with the results.
    redbeat_redis_url: str | None = Field(default=None, repr=False)
    redbeat_redis_options: RedBeatOptions = RedBeatOptions()
    # Beats with the same prefix share entries and the lock, so each project needs its own prefix.
    redbeat_key_prefix: str = f"{PACKAGE}:beat:"

    @property
    def schedules_url(self) -> str:
        """The URL of the Redis that keeps schedules."""
        usual = "broker_url" if self.broker_schemes == NAMES else "result_backend"
        return self.redbeat_redis_url or str(getattr(self, usual))

    def refusals(self) -> Iterator[str]:
        """Refuse settings with which beat would lose its lock, and URLs that redbeat cannot use."""
        if sentence := broken(self.beat_max_loop_interval, self.redbeat_lock_timeout):
            yield sentence
        if not self.schedules_url.startswith(STORES):
            allowed = "redis://, rediss://, redis+socket:// or sentinel://"
            yield f"CELERY_REDBEAT_REDIS_URL must begin with {allowed}"
        others = (
            getattr(self, f"{name}_transport_options", None)
            for name in ("broker", "result_backend")
        )
        if sentence := masterless(self.schedules_url, self.redbeat_redis_options, *others):
            yield sentence
        yield from super().refusals()

    def for_celery(self) -> dict[str, Any]:
        """Add where schedules are kept."""
        return {**super().for_celery(), "redbeat_redis_url": self.schedules_url}
