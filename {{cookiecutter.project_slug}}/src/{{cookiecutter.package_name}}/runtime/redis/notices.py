"""What people have to be told, counted in the project's Redis (`notices/place.py`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError

from ..notices import place
from ..notices.place import Failures, Kind, Memory, State
from . import store

#: Become the leader, or stay it. Key: the leader's; arguments: a name, and milliseconds.
LEAD = """
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

#: Keep the state, and subtract what was told. Keys: those of the state, the numbers and the last
#: failures; arguments: the state, then pairs of a kind and a number.
SAVE = """
redis.call('SET', KEYS[1], ARGV[1])
for i = 2, #ARGV, 2 do
    if redis.call('HINCRBY', KEYS[2], ARGV[i], -ARGV[i + 1]) <= 0 then
        redis.call('HDEL', KEYS[2], ARGV[i])
        redis.call('HDEL', KEYS[3], ARGV[i])
    end
end
"""


class Place(place.Place):
    """Two hashes with the number and the last failure of each kind, and the state as JSON.

    Args:
        client: Connected to Redis.
    """

    is_shared = True
    errors = (RedisError,)

    def __init__(self, client: Any) -> None:
        self.client = client
        names = ("state", "numbers", "last", "leader", "beat")
        self.state, self.numbers, self.last, self.leader, self.beat = (
            store.key("notices", name) for name in names
        )

    def add(self, kind: Kind, text: str, letter: str) -> None:
        """Count a failure."""
        name = json.dumps(kind)
        with self.client.pipeline() as pipe:
            pipe.hincrby(self.numbers, name, 1)
            pipe.hset(self.last, name, json.dumps([text, letter]))
            pipe.execute()

    def counted(self) -> Mapping[Kind, Failures]:
        """Return the failures that are counted."""
        with self.client.pipeline() as pipe:
            pipe.hgetall(self.numbers)
            pipe.hgetall(self.last)
            numbers, last = pipe.execute()
        return {
            Kind(*json.loads(name)): Failures(int(number), *json.loads(last.get(name, '["", ""]')))
            for name, number in numbers.items()
        }

    def lead(self, name: str, seconds: float) -> bool:
        """Become the process that tells people, or go on being it."""
        return bool(self.client.eval(LEAD, 1, self.leader, name, int(seconds * 1000)))

    def load(self) -> State:
        """Return the state."""
        text = self.client.get(self.state)
        return State(**json.loads(text)) if text else State()

    def save(self, state: State, told: Mapping[Kind, Failures]) -> None:
        """Keep the state, and forget the failures that are in its notice."""
        pairs = [part for kind, each in told.items() for part in (json.dumps(kind), each.number)]
        keys = (self.state, self.numbers, self.last)
        self.client.eval(SAVE, len(keys), *keys, json.dumps(state.as_dict()), *pairs)

    def ticked(self, moment: float) -> None:
        """Note when beat last looked at its schedule."""
        self.client.set(self.beat, moment)

    def last_tick(self) -> float | None:
        """Return when that was, if it is known."""
        found = self.client.get(self.beat)
        return float(found) if found else None


def shared() -> place.Place:
    """Return the place in the project's Redis; the memory of this process if there is none."""
    return Place(store.client()) if store.url() else Memory()
