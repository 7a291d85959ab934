import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from my_celery_project.artifacts import artifacts
from my_celery_project.celery import app
from my_celery_project.runtime.tasks import followed, progress
from my_celery_project.runtime.web import artifacts as downloads
from my_celery_project.runtime.web.catalogue import Arguments, Catalogue, NoArguments
from my_celery_project.web import catalog

GO_ON = threading.Event()


@app.task(base=progress.ProgressTask, name="tests.point")
def point(to: str) -> str:
    """Return a pointer."""
    return to


@app.task(base=progress.ProgressTask, name="tests.number")
def number() -> int:
    """Return what is not a pointer."""
    return 7


@app.task(base=progress.ProgressTask, name="tests.wait_and_point")
def wait_and_point() -> str:
    """Return a pointer, in the end."""
    GO_ON.wait(20)
    return "kept.csv"


class Pointer(Arguments):
    """Arguments of the first of them."""

    to: str


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch, worker: None) -> None:
    """Allow these tasks, whose results are files."""
    for task, arguments in ((point, Pointer), (number, NoArguments), (wait_and_point, NoArguments)):
        monkeypatch.setitem(catalog.ALLOWED, task.name, arguments)
    names = catalog.ALLOWED.artifacts | {point.name, number.name, wait_and_point.name}
    monkeypatch.setattr(catalog.ALLOWED, "artifacts", names)


@pytest.fixture
def finish(web: httpx.Client, eventually: Callable[..., Any]) -> Callable[..., str]:
    """Return a function that runs a task and returns the path of its status."""

    def run(name: str, **arguments: str) -> str:
        path: str = web.post("/tasks", json={"task": name, "arguments": arguments}).headers[
            "Location"
        ]
        eventually(lambda: web.get(path).json()["state"] == "SUCCESS")
        return path

    return run


def check_problem(answer: httpx.Response, status: int) -> str:
    """Make sure that an answer is a problem, and return its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return str(answer.json()["detail"])


def test_a_file_is_downloaded(web: httpx.Client, finish: Callable[..., str]) -> None:
    content = "größe\r\n7\r\n".encode() * 50_000
    artifacts.save("reports/größe 7.csv", content)
    answer = web.get(f"{finish(point.name, to='reports/größe 7.csv')}/artifact")
    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    named = "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe%207.csv"
    assert answer.headers["Content-Disposition"] == named
    assert (
        downloads.disposition("a.csv") == "attachment; filename=\"a.csv\"; filename*=UTF-8''a.csv"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_empty_file_is_downloaded(web: httpx.Client, finish: Callable[..., str]) -> None:
    artifacts.save("empty", b"")
    answer = web.get(f"{finish(point.name, to='empty')}/artifact")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "pointer",
    ["../secret", "a/../../secret", "{folder}/secret", "file://{folder}/secret", "a\0b", "", "."],
)
def test_no_pointer_leads_out_of_the_store(
    pointer: str, web: httpx.Client, finish: Callable[..., str]
) -> None:
    artifacts.save("kept.csv", b"x")
    folder = Path(artifacts.store().path).parent
    (folder / "secret").write_text("secret")
    answer = web.get(f"{finish(point.name, to=pointer.format(folder=folder))}/artifact")
    assert "does not exist" in check_problem(answer, 404)


def test_a_file_that_is_not_there_is_a_404(web: httpx.Client, finish: Callable[..., str]) -> None:
    artifacts.save("folder/file.csv", b"x")
    for pointer in ("folder", "nowhere/file.csv", "folder/file.csv/file.csv"):
        answer = web.get(f"{finish(point.name, to=pointer)}/artifact")
        assert "does not exist" in check_problem(answer, 404)


def test_a_result_is_a_file_only_if_the_catalogue_says_so(
    web: httpx.Client, finish: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts.save("kept.csv", b"x")
    assert "not a file" in check_problem(web.get(f"{finish(number.name)}/artifact"), 404)
    monkeypatch.setattr(catalog.ALLOWED, "artifacts", frozenset())
    echo = finish(point.name, to="kept.csv")
    assert web.get(f"{echo}/result").json()["result"] == "kept.csv"
    assert "not a file" in check_problem(web.get(f"{echo}/artifact"), 404)
    listed = {task["task"]: task["has_artifact"] for task in web.get("/tasks").json()["tasks"]}
    assert listed[point.name] is False


def test_a_task_that_no_client_has_sent_has_no_file(
    web: httpx.Client, eventually: Callable[..., Any]
) -> None:
    artifacts.save("kept.csv", b"x")
    task_id = followed.send(point, {"to": "kept.csv"})
    eventually(lambda: web.get(f"/tasks/{task_id}").json()["state"] == "SUCCESS")
    assert "not a file" in check_problem(web.get(f"/tasks/{task_id}/artifact"), 404)


def test_a_task_that_runs_has_no_file_yet(
    web: httpx.Client, eventually: Callable[..., Any]
) -> None:
    artifacts.save("kept.csv", b"x")
    GO_ON.clear()
    path = web.post("/tasks", json={"task": wait_and_point.name}).headers["Location"]
    try:
        assert "ask again later" in check_problem(web.get(f"{path}/artifact"), 409)
    finally:
        GO_ON.set()
    eventually(lambda: web.get(f"{path}/artifact").status_code == 200)
    assert "never sent" in check_problem(web.get(f"/tasks/{uuid4()}/artifact"), 404)


def test_the_type_of_a_file_is_that_of_its_name() -> None:
    expected = {
        "a.csv": "text/csv; charset=utf-8",
        "a.csv.gz": "application/gzip",
        "a.json": "application/json",
        "a.pdf": "application/pdf",
        "a.what": downloads.UNKNOWN,
    }
    assert {name: downloads.media_type(name) for name in expected} == expected


def test_a_catalogue_names_files_only_of_its_own_tasks() -> None:
    with pytest.raises(ValueError, match=r"not in the catalogue: tests\.unknown"):
        Catalogue({number.name: NoArguments}, artifacts=["tests.unknown"])
