"""How beat uses Redis; what is set is read by redbeat.

https://redbeat.readthedocs.io/en/latest/config.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from celery.app import utils
from pydantic import BaseModel, ConfigDict, Field

from ..config.environment import LOCAL_FOLDER
from ..config.environments import OnFiles
from ..config.settings import Settings
from ..config.values import Count, Importable, Seconds
from ..redis.redis_options import NAMES, SCHEMES, SentinelOptions, nameless

PACKAGE = __package__.partition(".")[0]

#: A Redis, or what stands for one in development and in tests.
STORES = (*SCHEMES, "filesystem://", "file://", "memory://", "cache+memory://")

# `celery report` and `inspect conf` hide the settings whose names match this. Celery does not know
# that this one has a password, and has no setting for the names.
HIDDEN = utils.HIDDEN_SETTINGS.pattern + "|REDBEAT_REDIS_URL"  # type: ignore[attr-defined]
utils.HIDDEN_SETTINGS = re.compile(HIDDEN, re.IGNORECASE)  # type: ignore[attr-defined]


class RedBeatOptions(BaseModel):
    """Options of redbeat's Redis client, which takes none from the broker's."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # Without timeouts a lost network blocks beat for as long as the kernel retries.
    socket_timeout: Seconds = 5
    socket_connect_timeout: Seconds = 5
    socket_keepalive: bool = True
    health_check_interval: Count = 25
    # The master that Sentinel watches, and how to reach the Sentinels, if they are not those of the
    # broker or of the results.
    master_name: str | None = None
    sentinel_kwargs: SentinelOptions = SentinelOptions()


def broken(loop_interval: float, lock_timeout: float) -> str | None:
    """Say in one sentence why beat would lose its lock, or nothing.

    Args:
        loop_interval: Longest time in seconds between two looks, each of which renews the lock.
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
    """Say that a Sentinel is asked for no master, or nothing.

    Args:
        url: Where schedules are kept.
        places: Options of redbeat, the broker and the results; the first that names one counts.
    """
    names = (getattr(place, "master_name", None) for place in places)
    variable = "CELERY_REDBEAT_REDIS_OPTIONS__MASTER_NAME"
    return nameless(url, next(filter(None, names), None), variable)


class RedBeat(Settings):
    """Schedules in a Redis; any number of beats may run, one of which sends."""

    beat_scheduler: Importable = f"{__package__}.redbeat:Scheduler"
    # Seconds until beat sees a schedule that another process has added; redbeat's default is 300.
    beat_max_loop_interval: Seconds = 5
    # With one sleep more, seconds until another beat goes on in place of one that died: 30 in all.
    # redbeat's default is 25 minutes.
    redbeat_lock_timeout: Count = 25
    # Where schedules are kept; without it, in the broker if that is a Redis, else with results.
    redbeat_redis_url: str | None = Field(default=None, repr=False)
    redbeat_redis_options: RedBeatOptions = RedBeatOptions()
    # Beats with the same prefix share entries and lock, so that each project needs its own.
    redbeat_key_prefix: str = f"{PACKAGE}:beat:"

    @property
    def schedules_url(self) -> str:
        """Where schedules are kept."""
        usual = "broker_url" if self.broker_schemes == NAMES else "result_backend"
        return self.redbeat_redis_url or str(getattr(self, usual))

    def refusals(self) -> Iterator[str]:
        """Refuse a beat that would lose its lock, and a place where redbeat keeps nothing."""
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
        """Say where schedules are; on a machine without a Redis, in a file of Celery's own beat."""
        settings = {**super().for_celery(), "redbeat_redis_url": self.schedules_url}
        if isinstance(self, OnFiles) and not self.schedules_url.startswith(SCHEMES):
            settings["beat_scheduler"] = "celery.beat:PersistentScheduler"
            settings["beat_schedule_filename"] = str(LOCAL_FOLDER / "beat-schedule")
        return settings
