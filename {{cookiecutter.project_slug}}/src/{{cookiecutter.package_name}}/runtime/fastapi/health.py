"""Health, for those who watch: whether this process lives, can work, and has workers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ..web import servers
from ..web.bodies import Health
from ..web.problems import DOCUMENTED
from ..web.service import Service
from .responses import call, respond

FINE = Health(status="ok")


def routes(service: Service) -> APIRouter:
    """Return the routes that tell of a service and of the workers."""
    router = APIRouter(prefix="/health", tags=["health"], responses=DOCUMENTED)

    @router.get("/live", response_model=Health)
    async def live() -> Response:
        """Say that this process answers; it asks nobody."""
        return respond(FINE)

    @router.get("/ready", response_model=Health)
    async def ready() -> Response:
        """Say that the servers behind it answer."""
        await call(service.ready)
        return respond(FINE)

    @router.get("/celery", response_model=Health)
    async def celery() -> Response:
        """Say that a worker answers; the answer is a few seconds old."""
        await call(servers.workers.check, service.app)
        return respond(FINE)

    return router
