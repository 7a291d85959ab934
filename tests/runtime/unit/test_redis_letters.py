"""Dead letters in a Redis."""

from collections.abc import Callable

from fakeredis import FakeRedis

from my_celery_project.runtime.letters import (
    store,
)
from my_celery_project.runtime.redis import (
    dead_letters,
)


def test_failures_are_counted_and_the_oldest_letters_go(
    redis: FakeRedis, counts_and_trims: Callable[[store.Store], None]
) -> None:
    counts_and_trims(dead_letters.DeadLetters(redis))
    assert len(redis.keys("*dead-letters*")) == 2, "an index and letters, nothing of those gone"
