"""Health checks: whether this process is alive, can do its work, and has a worker that answers."""

from __future__ import annotations

from flask import Response
from flask_openapi import APIBlueprint, Tag

from ..web import servers
from ..web.bodies import Health
from ..web.problems import DOCUMENTED
from ..web.service import Service
from ..web.threads import call
from .responses import respond

FINE = Health(status="ok")


def routes(service: Service) -> APIBlueprint:
    """Return the routes that report the health of a service and of the workers."""
    api = APIBlueprint(
        "health",
        __name__,
        url_prefix="/health",
        abp_tags=[Tag(name="health")],
        abp_responses=DOCUMENTED,
    )

    @api.get("/live", responses={200: Health})
    def live() -> Response:
        """Report that this process answers; no other server is asked."""
        return respond(FINE)

    @api.get("/ready", responses={200: Health})
    def ready() -> Response:
        """Report whether the servers that it needs answer."""
        call(service.ready)
        return respond(FINE)

    @api.get("/celery", responses={200: Health})
    def celery() -> Response:
        """Report whether a worker answers; the report may be a few seconds old."""
        call(servers.workers.check, service.app)
        return respond(FINE)

    return api
