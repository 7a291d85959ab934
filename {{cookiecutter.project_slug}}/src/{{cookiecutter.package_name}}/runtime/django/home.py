"""The first page of a new project: what there is, and how to use it."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from .environment import INSECURE
from .service import service_in_use


def home(request: HttpRequest) -> HttpResponse:
    """Show what a developer can look at and try; a server redirects to the admin instead."""
    if not settings.DEBUG:
        return HttpResponseRedirect(reverse("admin:index"))
    service = service_in_use()
    context = {
        **admin.site.each_context(request),
        "title": service.app.main,
        "is_nav_sidebar_enabled": False,
        "tasks": service.allowed().tasks,
        "follows": service.has_live_page,
        "address": request.build_absolute_uri("/").rstrip("/"),
        "token": INSECURE if settings.API_TOKEN == INSECURE else "$APP_API_TOKEN",
    }
    return TemplateResponse(request, "jobs/home.html", context)
