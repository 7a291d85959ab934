"""Health checks: whether this process is alive, can do its work, and has a worker that answers."""

from __future__ import annotations

from flask import Response
from flask_openapi import APIBlueprint, Tag

from ..web import operations, servers
from ..web.bodies import Health
from ..web.operations import TAGS
from ..web.service import Service
from ..web.threads import call
from .responses import documented, respond

FINE = Health(status="ok")


def routes(service: Service) -> APIBlueprint:
    """Return the routes that report the health of a service and of the workers."""
    api = APIBlueprint(
        "health",
        __name__,
        url_prefix="/health",
        abp_tags=[Tag(name="health", description=TAGS["health"])],
    )

    @api.get("/live", **documented(operations.LIVE))
    def live() -> Response:
        return respond(FINE)

    @api.get("/ready", **documented(operations.READY))
    def ready() -> Response:
        return respond(call(service.ready))

    @api.get("/celery", **documented(operations.CELERY))
    def celery() -> Response:
        return respond(call(servers.workers.check, service.app))

    return api
