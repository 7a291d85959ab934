"""Answers, of which each framework makes its own kind of response."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel

from .problems import MEDIA_TYPE, Problem


class Answer(NamedTuple):
    """All that a response is made of."""

    text: str
    status: int
    headers: Mapping[str, str]
    media_type: str


def to_json(body: BaseModel) -> str:
    """Return a body as JSON in ASCII, which can also write text that is not valid Unicode."""
    return json.dumps(body.model_dump(mode="json"))


def of_body(body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return the answer to a request that succeeded."""
    return Answer(to_json(body), status, headers or {}, "application/json")


def of_problem(problem: Problem) -> Answer:
    """Return an answer that is an error."""
    body = problem.body
    text = body.model_dump_json(exclude_none=True)
    return Answer(text, body.status, problem.headers, MEDIA_TYPE)
