"""Health checks: whether this process is alive, can do its work, and has a worker that answers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ..web import operations, servers
from ..web.bodies import Health
from ..web.service import Service
from .responses import call, documented, respond

FINE = Health(status="ok")


def routes(service: Service) -> APIRouter:
    """Return the routes that report the health of a service and of the workers."""
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live", **documented(operations.LIVE))
    async def live() -> Response:
        return respond(FINE)

    @router.get("/ready", **documented(operations.READY))
    async def ready() -> Response:
        return respond(await call(service.ready))

    @router.get("/celery", **documented(operations.CELERY))
    async def celery() -> Response:
        return respond(await call(servers.workers.check, service.app))

    return router
