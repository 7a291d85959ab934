"""How beat uses Redis; what is set is read by redbeat.

https://redbeat.readthedocs.io/en/latest/config.html
"""

import re

from celery.app import utils
from pydantic import BaseModel, ConfigDict

from ..config.values import Count, Seconds
from ..redis.redis_options import SCHEMES, SentinelOptions, nameless

PACKAGE = __package__.partition(".")[0]

#: A Redis, or what stands for one in development and in tests.
STORES = (*SCHEMES, "filesystem://", "file://", "memory://", "cache+memory://")

# `celery report` and `inspect conf` hide the settings whose names match this. Celery does not know
# that this one has a password.
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
