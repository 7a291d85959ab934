"""Turning failures of other servers into the errors that decide whether a task is retried."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from .errors import PermanentError, RateLimitedError, TransientError

if TYPE_CHECKING:
    import httpx

#: Client errors that may be temporary: timeout, conflict with a running request, too early.
TRANSIENT_STATUS = {408, 409, 425}


def retry_after(header: str | None) -> float | None:
    """Return how many seconds a valid `Retry-After` header asks to wait (RFC 9110, 10.2.3)."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Turn errors of httpx in this block into errors that decide whether a task is retried.

    Args:
        what: A name for the call, for the error message.

    Raises:
        PermanentError: The URL is wrong.
        TransientError: The server cannot be reached, or does not answer in time.
    """
    import httpx  # which a process that only publishes does without, and it is slow to import

    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise PermanentError(f"{what}: {error}") from error
    except httpx.TransportError as error:
        raise TransientError(f"{what}: {error}") from error


def raise_for_response(response: httpx.Response) -> None:
    """Raise the error for an unsuccessful HTTP status that decides whether a task is retried.

    Raises:
        RateLimitedError: 429, or 503 with `Retry-After`.
        TransientError: Any other server error, or a client error that may be temporary.
        PermanentError: Any other client error, or a redirect.
    """
    if response.is_success:
        return
    status = response.status_code
    message = f"{response.request.method} {response.request.url} answered {status}"
    wait = retry_after(response.headers.get("Retry-After"))
    if status == HTTPStatus.TOO_MANY_REQUESTS or (response.is_server_error and wait is not None):
        raise RateLimitedError(message, wait)
    if response.is_server_error or status in TRANSIENT_STATUS:
        raise TransientError(message)
    raise PermanentError(message)


def from_smtp(error: smtplib.SMTPException) -> Exception:
    """Return the error for an SMTP error: 4xx is temporary, 5xx is final (RFC 5321, 4.2.1)."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    elif isinstance(error, smtplib.SMTPResponseException):
        codes = [error.smtp_code]
    else:  # the connection broke
        return TransientError(str(error))
    final = any(code >= 500 for code in codes)
    return PermanentError(str(error)) if final else TransientError(str(error))
