"""The HTTP API of `web/`, mounted on Django.

    service = JobService(app, ALLOWED, Priority)
    urlpatterns = [*routes(service), path("admin/", admin.site.urls)]

The pages of Django's admin have other paths below `admin/`. If the project keeps results,
`followed.routes` adds the URLs for following tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from pydantic import BaseModel

from ..app import App
from ..web import admin, bodies, metrics, servers
from ..web.service import Service
from .responses import ADMINISTRATOR, CLIENT, body_of, query_of, respond, response, route
from .service import JobService

FINE = bodies.Health(status="ok")

#: The read-only views for administrators, by path.
VIEWED: dict[str, Callable[[App], BaseModel]] = {
    "workers": admin.workers,
    "queues": admin.queues,
    "active": admin.active,
    "scheduled": admin.scheduled,
    "registered": admin.registered,
}


def routes(service: JobService) -> list[URLPattern]:
    """Return the URLs for clients, administrators and health checks; the admin uses the service."""
    JobService.in_use = service
    return [
        *of_tasks(service),
        *of_administrators(service),
        *of_health(service),
        *of_metrics(service),
    ]


def of_tasks(service: Service) -> list[URLPattern]:
    """Return the URLs by which clients send tasks."""

    def allowed(request: HttpRequest) -> HttpResponse:
        """List the tasks that can be sent, with their arguments."""
        return respond(service.allowed())

    def submit(request: HttpRequest) -> HttpResponse:
        """Send a task; if tasks can be followed, `Location` is the URL of its status."""
        accepted = service.submit(body_of(request, bodies.Submission))
        return respond(accepted, 202, service.headers(accepted))

    def submit_all(request: HttpRequest) -> HttpResponse:
        """Send several tasks, or none if one of them is not valid."""
        return respond(service.submit_all(body_of(request, bodies.Submissions)), 202)

    return [
        path("tasks", route(CLIENT, GET=allowed, POST=submit)),
        path("tasks/bulk", route(CLIENT, POST=submit_all)),
    ]


def of_administrators(service: Service) -> list[URLPattern]:
    """Return the URLs for workers, queues and dead letters."""
    app = service.app

    def view(request: HttpRequest, look: Callable[[App], BaseModel]) -> HttpResponse:
        """Show one of the read-only views."""
        return respond(look(app))

    def letters(request: HttpRequest) -> HttpResponse:
        """List dead letters (tasks that failed for good), the newest first."""
        return respond(admin.letters(app, query_of(request, bodies.DeadLetterFilter)))

    def letter(request: HttpRequest, dead_letter_id: str) -> HttpResponse:
        """Show everything about a dead letter."""
        return respond(admin.letter(app, dead_letter_id))

    def replay(request: HttpRequest, dead_letter_id: str) -> HttpResponse:
        """Send the task of a dead letter again, once, as a new task."""
        return respond(admin.replay(service, dead_letter_id), 202)

    def discard(request: HttpRequest, dead_letter_id: str) -> HttpResponse:
        """Delete a dead letter."""
        admin.discard(app, dead_letter_id)
        return HttpResponse(status=204)

    of = partial(route, ADMINISTRATOR)
    one = "admin/dead-letters/<str:dead_letter_id>"
    return [
        *(path(f"admin/{name}", of(GET=view), {"look": look}) for name, look in VIEWED.items()),
        path("admin/dead-letters", of(GET=letters)),
        path(one, of(GET=letter, DELETE=discard)),
        path(f"{one}/replay", of(POST=replay)),
    ]


def of_health(service: Service) -> list[URLPattern]:
    """Return the URLs of health checks: of this process, its servers and the workers."""

    def live(request: HttpRequest) -> HttpResponse:
        """Report that this process answers; no other server is asked."""
        return respond(FINE)

    def ready(request: HttpRequest) -> HttpResponse:
        """Report whether the servers that it needs answer, and how soon."""
        return respond(service.ready())

    def celery(request: HttpRequest) -> HttpResponse:
        """Report the workers of each queue and what waits; it may be a few seconds old."""
        return respond(servers.workers.check(service.app))

    return [
        path("health/live", route(GET=live)),
        path("health/ready", route(GET=ready)),
        path("health/celery", route(GET=celery)),
    ]


def of_metrics(service: Service) -> list[URLPattern]:
    """Return the URL of the figures for Prometheus, if anybody may ask for them."""
    page = metrics.page_of(service.app)
    if page is None:
        return []

    def figures(request: HttpRequest) -> HttpResponse:
        """Show what the web processes have sent."""
        return response(page(request.headers.get("Authorization")))

    return [path("metrics", route(GET=figures))]
