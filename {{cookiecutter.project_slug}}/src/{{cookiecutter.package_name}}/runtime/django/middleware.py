"""What every request passes through."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

from .. import context

HEADER = "X-Request-ID"


def bind_request(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Give the id of a request to all that it logs and sends, and repeat it in the answer."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER)
        request_id = given if given and context.is_valid(given) else uuid4().hex
        with context.bind(correlation_id=request_id):
            response = get_response(request)
        response[HEADER] = request_id
        return response

    return middleware
