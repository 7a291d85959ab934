"""Errors as `application/problem+json`: https://www.rfc-editor.org/rfc/rfc9457."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from celery import current_app
from celery.exceptions import BackendError
from celery.utils.log import get_logger
from kombu.exceptions import OperationalError
from pydantic import BaseModel

from ..letters.store import DeadLetterError

logger = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

#: Seconds after which a client may ask again when a server was unreachable.
RETRY_AFTER = 5


class ProblemBody(BaseModel):
    """The body of every error."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    #: What is wrong: `field` and `message`.
    errors: list[dict[str, str]] | None = None
    #: Ids of the tasks that were sent before it failed.
    accepted: list[str] | None = None


class Problem(Exception):  # noqa: N818
    """An error that is answered to the client.

    Args:
        status: The HTTP status.
        detail: What happened and what to do.
        headers: Headers of the answer.
        more: Other fields of `ProblemBody`.
    """

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        title = HTTPStatus(status).phrase
        self.body = ProblemBody(title=title, status=status, detail=detail, **more)


#: The statuses of errors whose message the client may see.
STATUS: dict[type[Exception], HTTPStatus] = {
    DeadLetterError: HTTPStatus.CONFLICT,
    RecursionError: HTTPStatus.BAD_REQUEST,  # JSON that is nested too deeply
}

#: Errors of a broker or result store that is unreachable.
OUTAGES: tuple[type[Exception], ...] = (
    OperationalError,
    BackendError,
    OSError,
)


def outages() -> tuple[type[Exception], ...]:
    """Return the errors of any server of the current app that is unreachable."""
    app: Any = current_app
    return (*OUTAGES, *app.dead_letters.errors)


def of_error(error: Exception) -> Problem:
    """Return the problem for an error; an unexpected error is logged with its traceback."""
    if isinstance(error, Problem):
        return error
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return Problem(status, str(error))
    if isinstance(error, outages()):
        logger.warning("A server is unreachable: %s", error)
        return away("the broker or the result store does not answer")
    logger.error("A request failed", exc_info=error)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error: see the server's log")


def away(detail: str) -> Problem:
    """Return the problem (503) for a server that does not answer."""
    headers = {"Retry-After": str(RETRY_AFTER)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{detail}: try again later", headers)


def of_fields(errors: Iterable[Any]) -> Problem:
    """Return the problem for a request that is not valid; it does not repeat what was sent."""
    fields = []
    for error in errors:
        place = [] if error.get("type") == "json_invalid" else error["loc"]  # which is an offset
        fields.append({"field": ".".join(map(str, place)) or "body", "message": error["msg"]})
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid", errors=fields)
