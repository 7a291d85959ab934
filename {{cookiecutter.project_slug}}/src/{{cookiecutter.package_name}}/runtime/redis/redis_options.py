"""Options for Redis: how to reach it through Sentinels, and how results are kept in it."""

from pydantic import BaseModel, ConfigDict, Field

from ..config.values import RetryPolicy, Seconds

#: The beginnings of URLs of a Redis: a server, a socket, or Sentinels.
SCHEMES = ("redis://", "rediss://", "redis+socket://", "sentinel://")

#: The same without `://`.
NAMES = tuple(scheme.removesuffix("://") for scheme in SCHEMES)

SENTINEL, SOCKET = "sentinel://", "redis+socket://"


class SentinelOptions(BaseModel):
    """How to reach the Sentinels themselves, as arguments of redis-py."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # Without timeouts, a lost network would block for as long as the kernel retries.
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

    # Before it publishes a task that keeps its result, a publisher subscribes to the result; Celery
    # would try that for 20 seconds. A worker tries for longer: see worker/checks.py.
    retry_policy: RetryPolicy = RetryPolicy(max_retries=0)
    # A prefix for all keys, so that several projects can share one database.
    global_keyprefix: str | None = None
    # The master that Sentinel watches, for sentinel://HOST:26379/1;sentinel://HOST:26379/1
    master_name: str | None = None
    sentinel_kwargs: SentinelOptions = SentinelOptions()


def nameless(url: str, master_name: str | None, variable: str) -> str | None:
    """Return an error if a Sentinel URL has no master name, or None.

    Args:
        url: The URL of the Redis.
        master_name: The name of the master, if one is set.
        variable: The variable that sets the name.
    """
    if url.startswith(SENTINEL) and not master_name:
        return f"{variable} is not set: give the name of the master that the Sentinels watch"
    return None
