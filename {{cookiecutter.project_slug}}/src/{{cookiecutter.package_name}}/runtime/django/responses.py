"""Responses and access control of all views of the HTTP API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from pydantic import BaseModel, ValidationError

from ..web import answers, problems, token
from ..web.problems import Problem

View = Callable[..., HttpResponseBase]
B = TypeVar("B", bound=BaseModel)

#: The settings that hold the token of clients and that of administrators.
CLIENT, ADMINISTRATOR = "API_TOKEN", "ADMIN_TOKEN"

#: The mark of a session that has opened the live page, and the permissions that it needs, except on
#: a developer's machine.
AT_THE_PAGE = "jobs.live"
PERMISSIONS = ("jobs.add_job", "jobs.cancel_job", "jobs.view_job")


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

    A browser does not send the token by itself, so another site cannot forge a request. Only
    requests of the live page come with a session instead, and with Django's protection against
    forgery.

    Args:
        who: The setting with the required token, if one is required.
        methods: The view for each method.
    """

    @csrf_exempt
    @wraps(next(iter(methods.values())))
    def dispatch(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        try:
            if who:
                authorize(request, who)
            method = "GET" if request.method == "HEAD" else str(request.method)
            if method not in methods:
                allowed = ", ".join(methods)
                detail = f"{method} is not allowed here: use {allowed}"
                raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, {"Allow": allowed})
            answer = methods[method](request, **kwargs)
        except Exception as error:
            return refuse(problem_of(error))
        if request.method == "HEAD" and isinstance(answer, StreamingHttpResponse):
            answer.close()
            answer.streaming_content = ()
        return answer

    return dispatch


def problem_of(error: Exception) -> Problem:
    """Return the problem to answer after an error."""
    if isinstance(error, InterfaceError | OperationalError):
        problems.logger.warning("The database is unreachable: %s", error)
        return problems.away("the database does not answer")
    return problems.of_error(error)


def authorize(request: HttpRequest, who: str) -> None:
    """Check that a request holds the token.

    Args:
        request: The request.
        who: The setting with the token.

    Raises:
        Problem: It does not, or no token is set.
    """
    if who == CLIENT and "Authorization" not in request.headers and is_of_the_page(request):
        return
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


def may_use_the_page(request: HttpRequest) -> bool:
    """Return whether the user of a browser may send and follow tasks on the live page."""
    return settings.DEBUG or request.user.has_perms(PERMISSIONS)


@csrf_protect
def genuine(request: HttpRequest) -> HttpResponse:
    """Return a response, which Django replaces for a request that another site may have forged."""
    return HttpResponse()


def is_of_the_page(request: HttpRequest) -> bool:
    """Return whether a request is one of the live page, whose user may use it.

    Raises:
        Problem: It is, but another site may have forged it.
    """
    if not (AT_THE_PAGE in request.session and may_use_the_page(request)):
        return False
    if genuine(request).status_code != HTTPStatus.OK:
        raise Problem(HTTPStatus.FORBIDDEN, "this page is out of date: load it again")
    return True
