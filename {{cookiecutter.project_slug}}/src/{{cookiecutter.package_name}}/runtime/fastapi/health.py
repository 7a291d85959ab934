"""Health checks: whether this process is alive, can do its work, and has a worker that answers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ..web import servers
from ..web.bodies import Health
from ..web.problems import DOCUMENTED
from ..web.service import Service
from .responses import call, respond

FINE = Health(status="ok")


def routes(service: Service) -> APIRouter:
    """Return the routes that report the health of a service and of the workers."""
    router = APIRouter(prefix="/health", tags=["health"], responses=DOCUMENTED)

    @router.get("/live", response_model=Health)
    async def live() -> Response:
        """Report that this process answers; no other server is asked."""
        return respond(FINE)

    @router.get("/ready", response_model=Health)
    async def ready() -> Response:
        """Report whether the servers that it needs answer."""
        await call(service.ready)
        return respond(FINE)

    @router.get("/celery", response_model=Health)
    async def celery() -> Response:
        """Report whether a worker answers; the report may be a few seconds old."""
        await call(servers.workers.check, service.app)
        return respond(FINE)

    return router
