"""What every request passes through."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from .. import context
from ..web.correlation import HEADER, request_id


def bind_request(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Give the id of a request to all that it logs and sends, and repeat it in the answer."""

    def middleware(request: HttpRequest) -> HttpResponse:
        correlation_id = request_id(request.headers.get(HEADER))
        with context.bind(correlation_id=correlation_id):
            response = get_response(request)
        response[HEADER] = correlation_id
        return response

    return middleware
