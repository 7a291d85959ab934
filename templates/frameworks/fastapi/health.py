"""Health, for those who watch: whether this process lives, can work, and has workers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from .. import servers
from ..answers import answer, call
from ..bodies import Health
from ..problems import DOCUMENTED

router = APIRouter(prefix="/health", tags=["health"], responses=DOCUMENTED)

FINE = Health(status="ok")


@router.get("/live", response_model=Health)
async def live() -> Response:
    """Say that this process answers; it asks nobody."""
    return answer(FINE)


@router.get("/ready", response_model=Health)
async def ready() -> Response:
    """Say that the servers behind it answer."""
    await call(servers.ready)
    return answer(FINE)


@router.get("/celery", response_model=Health)
async def celery() -> Response:
    """Say that a worker answers; the answer is a few seconds old."""
    await call(servers.workers.check)
    return answer(FINE)
