"""The HTTP contract of `web/`, mounted on Django.

    service = JobService(app, ALLOWED, Priority)
    urlpatterns = [*routes(service), path("admin/", admin.site.urls)]

The pages of Django's admin have other paths below `admin/`. Where tasks can be followed,
`followed.routes` has the URLs for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from pydantic import BaseModel

from ..app import App
from ..web import admin, bodies, servers
from ..web.service import Service
from .responses import ADMINISTRATOR, CLIENT, body_of, query_of, respond, route

if TYPE_CHECKING:
    from ..app import App

FINE = bodies.Health(status="ok")

#: What administrators look at, by its path.
VIEWED: dict[str, Callable[[App], BaseModel]] = {
    "workers": admin.workers,
    "queues": admin.queues,
    "active": admin.active,
    "scheduled": admin.scheduled,
    "registered": admin.registered,
}


def routes(service: Service) -> list[URLPattern]:
    """Return the URLs of clients, of administrators, and of those who watch the process."""
    return [*of_tasks(service), *of_administrators(service), *of_health(service)]


def of_tasks(service: Service) -> list[URLPattern]:
    """Return the URLs by which a service sends tasks."""

    def allowed(request: HttpRequest) -> HttpResponse:
        """List the tasks that can be sent, and their arguments."""
        return respond(service.allowed())

    def submit(request: HttpRequest) -> HttpResponse:
        """Send a task; where tasks can be followed, `Location` is its status."""
        accepted = service.submit(body_of(request, bodies.Submission))
        return respond(accepted, 202, service.headers(accepted))

    def submit_all(request: HttpRequest) -> HttpResponse:
        """Send tasks, or none if one of them is not valid."""
        return respond(service.submit_all(body_of(request, bodies.Submissions)), 202)

    return [
        path("tasks", route(CLIENT, GET=allowed, POST=submit)),
        path("tasks/bulk", route(CLIENT, POST=submit_all)),
    ]


def of_administrators(service: Service) -> list[URLPattern]:
    """Return the URLs for workers, queues and dead letters."""
    app = service.app

    def view(request: HttpRequest, look: Callable[[App], BaseModel]) -> HttpResponse:
        """Tell what somebody looks at."""
        return respond(look(app))

    def letters(request: HttpRequest) -> HttpResponse:
        """List what failed for good, the newest first."""
        return respond(admin.letters(app, query_of(request, bodies.DeadLetterFilter)))

    def letter(request: HttpRequest, dead_letter_id: str) -> HttpResponse:
        """Show all of a dead letter."""
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
    """Return the URLs that tell whether this process lives, can work, and has workers."""

    def live(request: HttpRequest) -> HttpResponse:
        """Say that this process answers; it asks nobody."""
        return respond(FINE)

    def ready(request: HttpRequest) -> HttpResponse:
        """Say that the servers behind it answer."""
        service.ready()
        return respond(FINE)

    def celery(request: HttpRequest) -> HttpResponse:
        """Say that a worker answers; the answer is a few seconds old."""
        servers.workers.check(service.app)
        return respond(FINE)

    return [
        path("health/live", route(GET=live)),
        path("health/ready", route(GET=ready)),
        path("health/celery", route(GET=celery)),
    ]
