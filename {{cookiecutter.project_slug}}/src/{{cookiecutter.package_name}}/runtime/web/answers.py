"""HTTP answers, which each framework turns into its own kind of response."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel

from .problems import MEDIA_TYPE, Problem


class Answer(NamedTuple):
    """Everything that a response is made of."""

    text: str
    status: int
    headers: Mapping[str, str]
    media_type: str


def to_json(body: BaseModel) -> str:
    """Return a body as ASCII JSON, which can represent even text that is not valid Unicode."""
    return json.dumps(body.model_dump(mode="json"))


def of_body(body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return the answer to a request that succeeded."""
    return Answer(to_json(body), status, headers or {}, "application/json")


def of_problem(problem: Problem) -> Answer:
    """Return the answer to a request that failed."""
    body = problem.body
    text = body.model_dump_json(exclude_none=True)
    return Answer(text, body.status, problem.headers, MEDIA_TYPE)
