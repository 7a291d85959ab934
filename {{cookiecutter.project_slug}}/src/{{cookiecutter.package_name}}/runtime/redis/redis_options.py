"""Options of a Redis: how to reach it by Sentinel, and how results are kept in it."""

from pydantic import BaseModel, ConfigDict, Field

from ..config.values import RetryPolicy, Seconds

#: What a Redis can be reached by: a server, its socket, or what a Sentinel names.
SCHEMES = ("redis://", "rediss://", "redis+socket://", "sentinel://")

#: The same without `://`.
NAMES = tuple(scheme.removesuffix("://") for scheme in SCHEMES)

SENTINEL, SOCKET = "sentinel://", "redis+socket://"


class SentinelOptions(BaseModel):
    """How to reach the Sentinels themselves, as redis-py takes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # Without timeouts a lost network blocks for as long as the kernel retries.
    socket_timeout: Seconds = 2.5
    socket_connect_timeout: Seconds = 2
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    ssl: bool | None = None
    ssl_ca_certs: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None


class ResultOptions(BaseModel):
    """Options of Celery's result backend for Redis.

    https://docs.celeryq.dev/en/stable/userguide/configuration.html#result-backend-transport-options
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # Who publishes a task that keeps its result first subscribes to it; Celery would try for 20
    # seconds. A worker is patient: see worker/checks.py.
    retry_policy: RetryPolicy = RetryPolicy(max_retries=0)
    # Prefix of all keys, for several projects in one database.
    global_keyprefix: str | None = None
    # The master that Sentinel watches, for sentinel://HOST:26379/1;sentinel://HOST:26379/1
    master_name: str | None = None
    sentinel_kwargs: SentinelOptions = SentinelOptions()


def nameless(url: str, master_name: str | None, variable: str) -> str | None:
    """Say that a Sentinel is asked for no master, or nothing.

    Args:
        url: Where the Redis is.
        master_name: The name of the master.
        variable: What sets that name.
    """
    if url.startswith(SENTINEL) and not master_name:
        return f"{variable} is not set: give the name of the master that the Sentinels watch"
    return None
