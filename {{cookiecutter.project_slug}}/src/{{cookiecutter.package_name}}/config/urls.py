"""Which URL of a server production may use."""

from urllib.parse import parse_qs, unquote, urlsplit

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


def unsafe(url: str) -> str | None:
    """Say what is unsafe about the URL of a server, or nothing."""
    parts = urlsplit(url)
    if unquote(parts.password or "").lower() in DEFAULT_PASSWORDS:
        return "its password is a well-known default: set another one"
    # Without ssl_cert_reqs kombu verifies nothing and says nothing:
    # https://github.com/celery/kombu/blob/main/kombu/connection.py
    requirement = parse_qs(parts.query).get("ssl_cert_reqs", [""])[0]
    if parts.scheme == "rediss" and requirement not in {"required", "CERT_REQUIRED"}:
        return "its certificate would not be verified: add ?ssl_cert_reqs=required"
    if parts.scheme in {"filesystem", "memory", "file", "cache+memory"}:
        return f"{parts.scheme}:// is for one machine only: use a server"
    return None
