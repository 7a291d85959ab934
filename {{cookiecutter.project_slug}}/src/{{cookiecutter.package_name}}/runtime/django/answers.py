"""Answers of the API, and who gets them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

View = Callable[..., HttpResponse]


def problem(status: HTTPStatus, detail: str, **members: Any) -> JsonResponse:
    """Return an error (RFC 9457).

    Args:
        status: Its status.
        detail: What is wrong, and what to do.
        members: More about it.
    """
    return JsonResponse(
        {"title": status.phrase, "status": status, "detail": detail, **members},
        status=status,
        content_type="application/problem+json",
    )


def needs_token(view: View) -> View:
    """Let only those in who have the token.

    A browser sends no such header by itself, so that a foreign page cannot forge a call.
    """

    @csrf_exempt
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        given = request.headers.get("Authorization", "").encode()
        if secrets.compare_digest(given, f"Bearer {settings.API_TOKEN}".encode()):
            return view(request, *args, **kwargs)
        answer = problem(HTTPStatus.UNAUTHORIZED, "send Authorization: Bearer APP_API_TOKEN")
        answer["WWW-Authenticate"] = "Bearer"
        return answer

    return guarded
