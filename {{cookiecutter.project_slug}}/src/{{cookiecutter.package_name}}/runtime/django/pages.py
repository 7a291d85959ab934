"""The live page, on which people send and follow tasks."""

from __future__ import annotations

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.templatetags.static import static
from django.urls import reverse

from ..web import pages
from .responses import AT_THE_PAGE, PERMISSIONS, may_use_the_page, response
from .service import service_in_use


def live(request: HttpRequest) -> HttpResponse:
    """Show the page, on a server to users with the permissions for it.

    Its requests come with the session instead of a token, because a browser cannot send one with
    an event stream or a download.
    """
    if not may_use_the_page(request):
        if request.user.is_authenticated:
            raise PermissionDenied(f"the live page needs the permissions {', '.join(PERMISSIONS)}")
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    request.session[AT_THE_PAGE] = True
    page = pages.page(
        "live",
        service_in_use().app.main,
        files=static("pages"),
        corner=".",
        corner_name="Home",
        csrf_token=get_token(request),
    )
    return response(page)
