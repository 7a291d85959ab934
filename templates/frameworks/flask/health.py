"""Health, for those who watch: whether this process lives, can work, and has workers."""

from __future__ import annotations

from flask import Response
from flask_openapi import APIBlueprint, Tag

from .. import servers
from ..answers import answer, call
from ..bodies import Health
from ..problems import DOCUMENTED

api = APIBlueprint(
    "health",
    __name__,
    url_prefix="/health",
    abp_tags=[Tag(name="health")],
    abp_responses=DOCUMENTED,
)

FINE = Health(status="ok")


@api.get("/live", responses={200: Health})
def live() -> Response:
    """Say that this process answers; it asks nobody."""
    return answer(FINE)


@api.get("/ready", responses={200: Health})
def ready() -> Response:
    """Say that the servers behind it answer."""
    call(servers.ready)
    return answer(FINE)


@api.get("/celery", responses={200: Health})
def celery() -> Response:
    """Say that a worker answers; the answer is a few seconds old."""
    call(servers.workers.check)
    return answer(FINE)
