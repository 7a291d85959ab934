"""Django middleware."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from .. import context
from ..web.correlation import HEADER, request_id


def bind_request(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Add the id of a request to everything that it logs and sends, and to the response."""

    def middleware(request: HttpRequest) -> HttpResponse:
        correlation_id = request_id(request.headers.get(HEADER))
        with context.bind(correlation_id=correlation_id):
            response = get_response(request)
        response[HEADER] = correlation_id
        return response

    return middleware
