"""What all routes use: calls that end in time, and how to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from flask import Response
from pydantic import BaseModel

from . import problems, threads
from .bodies import to_json
from .problems import Problem

T = TypeVar("T")


def call(function: Callable[..., T], *args: object, deadline: float = 0) -> T:
    """Call what waits for a server.

    Args:
        function: What to call.
        args: Its arguments.
        deadline: Seconds until it is given up, if not `threads.DEADLINE`.

    Raises:
        Problem: It took too long, or it could not be done.
    """
    future = threads.start(function, *args)
    try:
        return future.result(deadline or threads.DEADLINE)
    except Exception as error:
        problem = problems.of_error(error) if future.done() else threads.late(future)
        raise problem from error


def answer(
    body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer."""
    return Response(to_json(body), status, headers, content_type="application/json")


def refuse(problem: Problem) -> Response:
    """Return an answer that is an error."""
    body = problem.body
    return Response(
        body.model_dump_json(exclude_none=True),
        body.status,
        problem.headers,
        content_type=problems.MEDIA_TYPE,
    )
