"""Checks of server URLs: which ones can be used at all, and which ones production may use."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qs, unquote, urlsplit

from kombu import Connection

DEFAULT_PASSWORDS = {
    "admin",
    "celery",
    "changeme",
    "guest",
    "password",
    "postgres",
    "redis",
    "secret",
}

#: Schemes of what takes the place of servers in tests: of the broker, and of any.
MEMORY = "memory"
LOCAL = {MEMORY, "cache+memory"}

AMQP = {"amqp", "amqps", "pyamqp"}
REDIS = {"redis", "rediss", "sentinel"}
SOCKET = "redis+socket"

#: The options that a Redis URL may have after its `?`. redis-py would get any other one as text,
#: and fail only when it first connects.
CERTIFICATES = {"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"}
REDIS_OPTIONS = {"virtual_host", *CERTIFICATES}

#: The values that `ssl_cert_reqs` may have (kombu/utils/url.py, `parse_ssl_cert_reqs`).
VERIFICATIONS = {"required", "optional", "none", "CERT_REQUIRED", "CERT_OPTIONAL", "CERT_NONE"}

EXAMPLES = {
    "amqp": "amqp://USER:PASSWORD@HOST:5672/VIRTUAL_HOST",
    "amqps": "amqps://USER:PASSWORD@HOST:5671/VIRTUAL_HOST",
    "pyamqp": "pyamqp://USER:PASSWORD@HOST:5672/VIRTUAL_HOST",
    "redis": "redis://:PASSWORD@HOST:6379/0",
    "rediss": "rediss://:PASSWORD@HOST:6379/0?ssl_cert_reqs=required",
    "redis+socket": "redis+socket:///PATH/TO/SOCKET?virtual_host=0",
    "sentinel": "sentinel://:PASSWORD@HOST:26379/0",
    "postgresql": "postgresql://USER:PASSWORD@HOST:5432/NAME",
}

ENCODE = "percent-encode the password (# is %23, / is %2F, ? is %3F, @ is %40, [ is %5B)"


def servers(url: str) -> list[str]:
    """Return the URLs in a list that Celery would accept, such as `amqp://one//;amqp://two//`."""
    return url.split(";")


def broken(url: str, schemes: Collection[str] = ()) -> str | None:
    """Return why the URL of a server cannot be used, in one sentence, or None.

    Args:
        url: The URL. The sentence repeats no part of it.
        schemes: The schemes that it may have; without them, any.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if not scheme or (schemes and scheme not in schemes):
        named = [f"{name}://" for name in schemes if name not in LOCAL]
        return f"use a URL that begins with {' or '.join(named or ['its scheme and ://'])}"
    if scheme in LOCAL:
        return None
    example = f"such as {EXAMPLES.get(scheme, f'{scheme}://USER:PASSWORD@HOST')}"
    try:
        parts = urlsplit(url)
        is_odd = parts.port == 0
    except ValueError:  # its text repeats a part of the password
        is_odd, parts = True, urlsplit(f"{scheme}://")
    rest = f"{parts.path}{parts.query}"
    if is_odd or "#" in url or "@" in rest or any(character.isspace() for character in url):
        return f"it is not a valid URL: {f'{ENCODE}, ' if '@' in url else 'use one '}{example}"
    if scheme in REDIS and not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        return f"a Redis database is a number: use a URL {example}"
    options = parse_qs(parts.query)
    if scheme in {*REDIS, SOCKET} and "password" in options:
        return f"reports would show a password after its ?: use {scheme}://:PASSWORD@HOST instead"
    database = options.get("virtual_host", ["0"])[0].strip("/")
    if scheme in {*REDIS, SOCKET} and not database.isdecimal():
        return f"virtual_host is a Redis database, which is a number: use a URL {example}"
    if scheme == SOCKET and not parts.path.strip("/"):
        return f"it does not name a socket: use a URL {example}"
    if options.get("ssl_cert_reqs", ["none"])[0] not in VERIFICATIONS:
        return "ssl_cert_reqs must be required, optional or none"
    return None


def refused_by_redis(url: str) -> str | None:
    """Return why a Redis client would not accept the options of a URL, or None."""
    parts = urlsplit(url)
    names = parse_qs(parts.query).keys() if parts.scheme in {*REDIS, SOCKET} else set()
    if names - REDIS_OPTIONS:  # a name may be a part of the password
        return f"use only {', '.join(sorted(REDIS_OPTIONS))} after its ?"
    if parts.scheme == "redis" and names & CERTIFICATES:
        return "certificates need TLS: use a URL that begins with rediss://"
    return None


def refused_by_kombu(url: str) -> str | None:
    """Return why kombu does not accept the options of a broker URL, or None."""
    try:
        Connection(url)
    except (KeyError, TypeError, ValueError):  # whose text may repeat a part of it
        return "an option after its ? is not one that kombu accepts, or has a wrong value"
    return None


def unsafe(url: str) -> str | None:
    """Return why production may not use the URL of a server, or None."""
    parts = urlsplit(url)
    if parts.scheme in AMQP and not parts.password:
        # https://github.com/celery/kombu/blob/main/kombu/transport/pyamqp.py
        return (
            "without a password, kombu logs in as guest: use a URL such as"
            f" {EXAMPLES[parts.scheme]}"
        )
    if unquote(parts.password or "").lower() in DEFAULT_PASSWORDS:
        return "its password is a well-known default: choose another password"
    # Without ssl_cert_reqs kombu verifies nothing and does not warn:
    # https://github.com/celery/kombu/blob/main/kombu/connection.py
    requirement = parse_qs(parts.query).get("ssl_cert_reqs", [""])[0]
    if parts.scheme == "rediss" and requirement not in {"required", "CERT_REQUIRED"}:
        return "its certificate would not be verified: add ?ssl_cert_reqs=required"
    if parts.scheme in LOCAL:
        return f"{parts.scheme}:// works in one process only: use the URL of a server"
    return None
