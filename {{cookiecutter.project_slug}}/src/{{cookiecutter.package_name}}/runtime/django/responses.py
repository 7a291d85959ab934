"""Responses and access control of all views of the HTTP API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from pydantic import BaseModel, ValidationError

from ..web import answers, problems, token
from ..web.problems import Problem

View = Callable[..., HttpResponse]
B = TypeVar("B", bound=BaseModel)

#: The settings that hold the token of clients and that of administrators.
CLIENT, ADMINISTRATOR = "API_TOKEN", "ADMIN_TOKEN"


def respond(
    body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return the response to a request that succeeded."""
    return response(answers.of_body(body, status, headers))


def refuse(problem: Problem) -> HttpResponse:
    """Return the response to a request that failed."""
    return response(answers.of_problem(problem))


def response(answer: answers.Answer) -> HttpResponse:
    """Return an answer as a Django response."""
    return HttpResponse(answer.text, answer.media_type, answer.status, headers=dict(answer.headers))


def body_of(request: HttpRequest, model: type[B]) -> B:
    """Return the body of a request; an empty body counts as an empty object.

    Raises:
        Problem: It is too large, or not valid.
    """
    try:
        return model.model_validate_json(request.body or b"{}")
    except ValidationError as error:
        raise problems.of_fields(error.errors()) from None
    except RequestDataTooBig:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        detail = f"the body is larger than {limit} bytes: send less"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail) from None


def query_of(request: HttpRequest, model: type[B]) -> B:
    """Return the query parameters of a request.

    Raises:
        Problem: It is not valid.
    """
    try:
        return model.model_validate(request.GET.dict())
    except ValidationError as error:
        raise problems.of_fields(error.errors()) from None


def route(who: str | None = None, /, **methods: View) -> View:
    """Return a view that dispatches by HTTP method, and answers every error as a problem.

    It uses no session. A browser does not send the token by itself, so another site cannot forge a
    request.

    Args:
        who: The setting with the required token, if one is required.
        methods: The view for each method.
    """

    @csrf_exempt
    @wraps(next(iter(methods.values())))
    def dispatch(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            if who:
                authorize(request, who)
            method = "GET" if request.method == "HEAD" else str(request.method)
            if method not in methods:
                allowed = ", ".join(methods)
                detail = f"{method} is not allowed here: use {allowed}"
                raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, {"Allow": allowed})
            return methods[method](request, **kwargs)
        except (InterfaceError, OperationalError) as error:
            problems.logger.warning("The database is unreachable: %s", error)
            return refuse(problems.away("the database does not answer"))
        except Exception as error:
            return refuse(problems.of_error(error))

    return dispatch


def authorize(request: HttpRequest, who: str) -> None:
    """Check that a request holds the token.

    Args:
        request: The request.
        who: The setting with the token.

    Raises:
        Problem: It does not, or no token is set.
    """
    expected: str = getattr(settings, who)
    variable = f"APP_{who}"
    if not expected:
        detail = f"nobody may call this, because the server has no token: set {variable} there"
        raise Problem(HTTPStatus.FORBIDDEN, detail)
    try:
        token.authorize(request.headers.get("Authorization"), expected)
    except Problem as problem:
        detail = f"send the token of {variable} in the header `Authorization: Bearer`"
        raise Problem(problem.body.status, detail, problem.headers) from None
