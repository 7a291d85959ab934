"""Helpers for all routes: responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from pydantic import BaseModel

from ..web import answers
from ..web.operations import Operation
from ..web.problems import Problem


def documented(operation: Operation) -> dict[str, Any]:
    """Return the arguments of a route that document its operation."""
    responses = operation.answers()
    responses.setdefault(str(operation.status), operation.answer)
    return {
        "summary": operation.summary,
        "description": operation.description,
        "operation_id": operation.id,
        "responses": responses,
    }


def respond(
    body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response to a request that succeeded."""
    return response(answers.of_body(body, status, headers))


def refuse(problem: Problem) -> Response:
    """Return the response to a request that failed."""
    return response(answers.of_problem(problem))


def response(answer: answers.Answer) -> Response:
    """Return an answer as a Flask response."""
    return Response(answer.text, answer.status, answer.headers, content_type=answer.media_type)
