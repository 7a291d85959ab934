"""Helpers for all routes: calls that do not block the event loop, and responses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ..web import answers, problems, threads
from ..web.operations import Operation
from ..web.problems import Problem

T = TypeVar("T")


def documented(operation: Operation) -> dict[str, Any]:
    """Return the arguments of a route that document its operation."""
    return {
        "summary": operation.summary,
        "description": operation.description,
        "operation_id": operation.id,
        "status_code": operation.status,
        "response_description": HTTPStatus(operation.status).phrase,
        "response_model": operation.answer,
        "response_class": JSONResponse if operation.answer else Response,
        "responses": operation.answers(),
    }


async def call(function: Callable[..., T], *args: object, deadline: float = 0) -> T:
    """Call a function that waits for a server, without blocking the event loop.

    Args:
        function: What to call.
        args: Its arguments.
        deadline: Seconds until the call is abandoned; by default `threads.DEADLINE`.

    Raises:
        Problem: It took too long, or it failed.
    """
    started = threads.start(function, *args)
    future = asyncio.wrap_future(started)
    done, _ = await asyncio.wait({future}, timeout=deadline or threads.DEADLINE)
    if not done:
        raise threads.late(started)
    try:
        return future.result()
    except Exception as error:
        raise problems.of_error(error) from error


def respond(
    body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response to a request that succeeded."""
    return response(answers.of_body(body, status, headers))


def refuse(problem: Problem) -> Response:
    """Return the response to a request that failed."""
    return response(answers.of_problem(problem))


def response(answer: answers.Answer) -> Response:
    """Return an answer as a FastAPI response."""
    return Response(answer.text, answer.status, answer.headers, media_type=answer.media_type)
