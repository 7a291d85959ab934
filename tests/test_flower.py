"""Flower on a running fleet: only those who log in see it, in a browser, and it sees tasks and workers."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from conftest import Installed, Running
from servers import PATIENCE, Fleet, free_port
from test_pages import browser
from test_settings import refusal
from variants import Answers, variant_id

PASSWORD = "correct-horse-battery"  # noqa: S105

VARIANTS: list[Answers] = [
    {"flower": True},
    {"flower": True, "broker": "rabbitmq", "result_backend": "none", "pool": "threads"},
]


def asked(port: int, path: str, login: str = "") -> tuple[int, str]:
    """Return status and body of a page."""
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}{path}", headers=headers), timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, ""


@contextmanager
def flowering(answers: Answers, running: Running, **variables: str) -> Iterator[tuple[Fleet, int]]:
    """Run a worker and Flower, and yield them with its port."""
    port = free_port()
    given = {"FLOWER_BASIC_AUTH": PASSWORD, "FLOWER_PORT": str(port), **variables}
    with running(answers, **given) as fleet:
        fleet.start("general", "flower")
        yield fleet, port


@pytest.mark.parametrize("answers", VARIANTS, ids=variant_id)
def test_only_those_who_log_in_see_workers_and_tasks(answers: Answers, running: Running) -> None:
    login = f"admin:{PASSWORD}"
    with flowering(answers, running) as (fleet, port):
        for path in ("/", "/workers", "/tasks", "/api/workers", "/api/tasks"):
            assert asked(port, path)[0] == 401, path
            assert asked(port, path, f"admin:{PASSWORD[1:]}")[0] == 401, path
        fleet.wait(lambda: "general@" in asked(port, "/workers", login)[1], "the worker is seen")
        task_id = fleet.send("probe.step")
        fleet.ends(task_id)

        def seen() -> bool:
            fleet.send("probe.step")
            return "probe.step" in asked(port, "/api/tasks", login)[1]

        fleet.wait(seen, "a task is seen")
        fleet.stop("flower")
        # What it knew outlives it.
        fleet.start("flower")
        assert "probe.step" in asked(port, "/api/tasks", login)[1]
        fleet.stop("flower", "general")


def test_people_log_in_with_a_browser(running: Running) -> None:
    with flowering({"flower": True}, running) as (fleet, port), browser(port, login=("admin", PASSWORD)) as page:
        fleet.ends(fleet.send("probe.step"))
        page.goto("/")
        page.get_by_text(re.compile("^general@")).first.wait_for()
        page.goto("/tasks")
        page.get_by_text("probe.step").first.wait_for()


def test_it_is_served_below_a_path(running: Running) -> None:
    with flowering({"flower": True}, running, FLOWER_URL_PREFIX="flower") as (_, port):
        assert asked(port, "/flower/", f"admin:{PASSWORD}")[0] == 200
        assert asked(port, "/flower/")[0] == 401


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "FLOWER_BASIC_AUTH is not set: Flower shows and stops tasks, so people have to log in"),
        (
            {"FLOWER_BASIC_AUTH": "admin:short"},
            "its password has 5 characters but needs 12",
        ),
        ({"FLOWER_AUTH_PROVIDER": "flower.views.auth.GithubLoginHandler"}, "FLOWER_AUTH is not: set it to a pattern"),
    ],
)
def test_it_refuses_to_start_where_nobody_has_to_log_in(
    variables: dict[str, str], sentence: str, installed: Installed, tmp_path: Path
) -> None:
    assert sentence in refusal(installed({"flower": True}), "flower", tmp_path, **variables)
