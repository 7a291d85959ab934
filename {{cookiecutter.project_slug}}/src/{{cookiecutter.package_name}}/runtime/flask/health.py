"""Health, for those who watch: whether this process lives, can work, and has workers."""

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
    """Return the routes that tell of a service and of the workers."""
    api = APIBlueprint(
        "health",
        __name__,
        url_prefix="/health",
        abp_tags=[Tag(name="health")],
        abp_responses=DOCUMENTED,
    )

    @api.get("/live", responses={200: Health})
    def live() -> Response:
        """Say that this process answers; it asks nobody."""
        return respond(FINE)

    @api.get("/ready", responses={200: Health})
    def ready() -> Response:
        """Say that the servers behind it answer."""
        call(service.ready)
        return respond(FINE)

    @api.get("/celery", responses={200: Health})
    def celery() -> Response:
        """Say that a worker answers; the answer is a few seconds old."""
        call(servers.workers.check, service.app)
        return respond(FINE)

    return api
