"""Beat's scheduler redbeat, which keeps entries and last runs in Redis.

Any number of beats may run: the one that holds the lock sends, and the others stand by.
"""

from __future__ import annotations

from typing import Any, Literal

from celery.schedules import solar
from celery.signals import beat_init
from celery.utils.log import get_logger
from redbeat import schedulers
from redbeat.decoder import RedBeatJSONDecoder, RedBeatJSONEncoder
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from ..config.environment import ConfigurationError
from ..redis import clients as redis_clients
from ..redis.redis_options import SCHEMES
from .redbeat_settings import broken
from .ticks import Stoppable

logger = get_logger("celery.beat")

# At start-up redbeat waits for the lock in a signal handler, and Celery only logs its errors. A
# beat that starts while Redis is down would then end at its first tick.
beat_init.disconnect(schedulers.acquire_distributed_beat_lock)


def connect(app: Any) -> None:
    """Make redbeat use our Redis client; its own supports no sockets or lists of Sentinels."""
    conf = app.conf
    is_there = getattr(app, schedulers.REDBEAT_REDIS_KEY, None) is not None
    if not is_there and conf.redbeat_redis_url.startswith(SCHEMES):
        options = dict(conf.redbeat_redis_options)
        options |= redis_clients.sentinel_options(
            options, conf.broker_transport_options, conf.result_backend_transport_options
        )
        client = redis_clients.connect(conf.redbeat_redis_url, decode_responses=True, **options)
        setattr(app, schedulers.REDBEAT_REDIS_KEY, client)


class Encoder(RedBeatJSONEncoder):  # type: ignore[misc]
    """An encoder that also writes solar schedules, which redbeat does not support."""

    def default(self, o: Any) -> Any:
        """Return an object in a form that JSON can represent."""
        if isinstance(o, solar):
            return {"__type__": "solar", "event": o.event, "lat": o.lat, "lon": o.lon}
        return super().default(o)


class Decoder(RedBeatJSONDecoder):  # type: ignore[misc]
    """A decoder for what `Encoder` writes."""

    def dict_to_object(self, d: dict[str, Any]) -> Any:
        """Return the object that a dictionary represents."""
        if d.get("__type__") == "solar":
            return solar(d["event"], d["lat"], d["lon"])
        return super().dict_to_object(d)


# redbeat has no setting for these classes (redbeat/schedulers.py, `save`, `decode_definition`).
schedulers.RedBeatJSONEncoder, schedulers.RedBeatJSONDecoder = Encoder, Decoder


class RenewedLock(Lock):
    """A lock whose remaining time redbeat replaces; redis-py's default adds to it."""

    def extend(self, additional_time: Any, replace_ttl: bool = True) -> Literal[True]:
        """Set the time after which another beat may take the lock."""
        return super().extend(additional_time, replace_ttl)


class Outliving(schedulers.RedBeatScheduler):  # type: ignore[misc]
    """A scheduler that survives an unreachable Redis and a lost lock, both of which end redbeat."""

    is_set_up = False

    def __init__(self, app: Any, **kwargs: Any) -> None:
        connect(app)
        super().__init__(app, **kwargs)

    def setup_schedule(self) -> None:
        """Write nothing yet: only the beat that holds the lock writes the schedule, in `tick`.

        Raises:
            ConfigurationError: With the given --max-interval, beat would lose its lock.
        """
        if sentence := broken(self.max_interval, self.app.conf.redbeat_lock_timeout):
            raise ConfigurationError(sentence)

    def update_from_dict(self, dict_: dict[str, dict[str, Any]]) -> None:
        """Write entries; paused ones stay paused, so that a pause survives a restart."""
        super().update_from_dict(
            {name: {**entry, "enabled": self.is_enabled(name)} for name, entry in dict_.items()}
        )

    def is_enabled(self, name: str) -> bool:
        """Whether an entry is not paused."""
        try:
            key = self.Entry.generate_key(self.app, name)
            return bool(self.Entry.load_definition(key, self.app)["enabled"])
        except KeyError:
            return True

    def acquire(self) -> bool:
        """Take the lock unless another beat holds it, and return whether it is ours."""
        client = schedulers.get_redis(self.app)
        lock = client.lock(
            self.lock_key, timeout=self.lock_timeout, blocking=False, lock_class=RenewedLock
        )
        if not lock.acquire():
            return False
        logger.info("beat: Acquired lock")
        self.lock, self.is_set_up = lock, False
        return True

    def tick(self, min: Any = min, **kwargs: Any) -> float:  # noqa: A002
        """Send what is due if this beat holds the lock; return the seconds until the next tick."""
        try:
            if self.lock is None and not self.acquire():
                logger.debug("beat: Another beat holds the lock")
                return float(self.max_interval)
            if not self.is_set_up:
                super().setup_schedule()
                self.is_set_up = True
            return float(super().tick(min, **kwargs))
        except LockError:
            # This process was frozen for too long, or Redis has lost its data.
            logger.warning("beat: Lost the lock")
            self.lock = None
            return 0
        except RedisError as error:
            logger.error("beat: Redis failed, next try in %g s: %s", self.max_interval, error)
            return float(self.max_interval)

    def maybe_due(self, entry: schedulers.RedBeatSchedulerEntry, **kwargs: Any) -> float | None:
        """Send an entry if it is due, after checking for each entry that the lock is still ours.

        Sending many entries to a slow broker can take longer than the lock lasts.
        """
        self.lock.extend(int(self.lock_timeout))
        wait: float | None = super().maybe_due(entry, **kwargs)
        return wait

    def close(self) -> None:
        """Release the lock, so that another beat takes over at once."""
        try:
            super().close()
        except RedisError as error:
            logger.warning("beat: Could not release the lock: %s", error)
            self.lock = None


class Scheduler(Stoppable, Outliving):
    """The scheduler of beat. What it does in a look is one step, which no signal interrupts."""
