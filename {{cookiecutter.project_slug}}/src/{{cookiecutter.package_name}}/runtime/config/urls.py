"""The URLs of servers: which ones can be used at all, and which ones production may use."""

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

#: What is for one machine, in place of a broker, and of any server: files and memory.
LOCAL_BROKERS = {"filesystem", "memory"}
LOCAL = {*LOCAL_BROKERS, "file", "cache+memory"}

AMQP = {"amqp", "amqps", "pyamqp"}
REDIS = {"redis", "rediss", "sentinel"}
SOCKET = "redis+socket"

#: What may stand behind the ? of the URL of a Redis. Anything else would reach redis-py as a text,
#: which stumbles over it when it connects for the first time.
CERTIFICATES = {"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"}
REDIS_OPTIONS = {"virtual_host", *CERTIFICATES}

#: What `ssl_cert_reqs` may be (kombu/utils/url.py, `parse_ssl_cert_reqs`).
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
    """Return the URLs of a list as Celery takes it, such as `amqp://one//;amqp://two//`."""
    return url.split(";")


def broken(url: str, schemes: Collection[str] = ()) -> str | None:
    """Say in one sentence why the URL of a server cannot be used, or nothing.

    Args:
        url: The URL, of which nothing is repeated.
        schemes: What it may begin with; without them, anything.
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
        return f"a database of Redis is a number: use one {example}"
    options = parse_qs(parts.query)
    if scheme in {*REDIS, SOCKET} and "password" in options:
        return f"reports would show what is behind its ?: use {scheme}://:PASSWORD@ and the rest"
    database = options.get("virtual_host", ["0"])[0].strip("/")
    if scheme in {*REDIS, SOCKET} and not database.isdecimal():
        return f"virtual_host is a database of Redis, which is a number: use one {example}"
    if scheme == SOCKET and not parts.path.strip("/"):
        return f"it names no socket: use one {example}"
    if options.get("ssl_cert_reqs", ["none"])[0] not in VERIFICATIONS:
        return "ssl_cert_reqs must be required, optional or none"
    return None


def refused_by_redis(url: str) -> str | None:
    """Say why a client of Redis would not take the options of a URL, or nothing."""
    parts = urlsplit(url)
    names = parse_qs(parts.query).keys() if parts.scheme in {*REDIS, SOCKET} else set()
    if names - REDIS_OPTIONS:  # a name may be a part of the password
        return f"behind its ? only {', '.join(sorted(REDIS_OPTIONS))} are known"
    if parts.scheme == "redis" and names & CERTIFICATES:
        return "certificates need a URL that begins with rediss://"
    return None


def refused_by_kombu(url: str) -> str | None:
    """Say why kombu does not take the options of the URL of a broker, or nothing."""
    if url.partition("://")[0] in LOCAL:  # whose transport may lack what it needs, as on Windows
        return None
    try:
        Connection(url)
    except (KeyError, TypeError, ValueError):  # whose text may repeat a part of it
        return "what is behind its ? is not an option that kombu takes, or has a wrong value"
    return None


def unsafe(url: str) -> str | None:
    """Say why production may not use the URL of a server, or nothing."""
    parts = urlsplit(url)
    if parts.scheme in AMQP and not parts.password:
        # https://github.com/celery/kombu/blob/main/kombu/transport/pyamqp.py
        return f"without a password it means guest: use one such as {EXAMPLES[parts.scheme]}"
    if unquote(parts.password or "").lower() in DEFAULT_PASSWORDS:
        return "its password is a well-known default: set another one"
    # Without ssl_cert_reqs kombu verifies nothing and says nothing:
    # https://github.com/celery/kombu/blob/main/kombu/connection.py
    requirement = parse_qs(parts.query).get("ssl_cert_reqs", [""])[0]
    if parts.scheme == "rediss" and requirement not in {"required", "CERT_REQUIRED"}:
        return "its certificate would not be verified: add ?ssl_cert_reqs=required"
    if parts.scheme in LOCAL:
        return f"{parts.scheme}:// is for one machine only: use a server"
    return None
