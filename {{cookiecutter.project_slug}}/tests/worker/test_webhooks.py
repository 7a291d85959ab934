"""Webhooks, to a real HTTP server."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from {{ cookiecutter.package_name }}.runtime.errors import (
    PermanentError,
)
from {{ cookiecutter.package_name }}.tasks import webhooks


class Receiver:
    """Answer with the given responses in turn, and keep what came."""

    def __init__(self, *answers: Response) -> None:
        self.answers = iter(answers)
        self.requests: list[tuple[float, str, Any]] = []

    def __call__(self, request: Request) -> Response:
        key = request.headers["Idempotency-Key"]
        self.requests.append((time.monotonic(), key, request.get_json()))
        return next(self.answers)


def deliver(run: Callable[..., Any], server: HTTPServer, receiver: Receiver, **kwargs: Any) -> Any:
    server.expect_request("/hook").respond_with_handler(receiver)
    return run(webhooks.deliver, server.url_for("/hook"), "paid", {"id": 7}, **kwargs)


def test_an_event_arrives_with_its_key(run: Callable[..., Any], httpserver: HTTPServer) -> None:
    receiver = Receiver(Response(status=204))
    outcome = deliver(run, httpserver, receiver, idempotency_key="order-7")
    assert outcome == ("SUCCESS", 204)
    assert receiver.requests[0][1:] == ("order-7", {"event": "paid", "data": {"id": 7}})


def test_a_server_error_is_tried_again_with_the_same_key(
    run: Callable[..., Any], httpserver: HTTPServer
) -> None:
    receiver = Receiver(Response(status=500), Response(status=200))
    assert deliver(run, httpserver, receiver) == ("SUCCESS", 200)
    keys = {key for _, key, _ in receiver.requests}
    assert (len(receiver.requests), len(keys)) == (2, 1)


def test_too_many_requests_wait_as_long_as_asked(
    run: Callable[..., Any], httpserver: HTTPServer
) -> None:
    receiver = Receiver(Response(status=429, headers={"Retry-After": "2"}), Response(status=200))
    assert deliver(run, httpserver, receiver).state == "SUCCESS"
    (first, _, _), (second, _, _) = receiver.requests
    assert second - first >= 2


@pytest.mark.parametrize("status", [301, 400, 404, 410])
def test_a_client_error_is_not_tried_again(
    status: int, run: Callable[..., Any], httpserver: HTTPServer
) -> None:
    receiver = Receiver(Response(status=status))
    state, error = deliver(run, httpserver, receiver)
    assert (state, type(error), len(receiver.requests)) == ("FAILURE", PermanentError, 1)


@pytest.mark.parametrize("url", ["ftp://example.com/", "example.com", "http://[::1"])
def test_a_wrong_url_is_not_tried_again(url: str, run: Callable[..., Any]) -> None:
    state, error = run(webhooks.deliver, url, "paid", {"id": 7})
    assert (state, type(error)) == ("FAILURE", PermanentError)
    assert str(error).startswith(f"POST {url}: ")
