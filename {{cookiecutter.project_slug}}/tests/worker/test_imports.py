"""An import from a real HTTP server, and what is left when one of its steps fails."""

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from {{ cookiecutter.package_name }}.artifacts import artifacts
from {{ cookiecutter.package_name }}.runtime import budget, errors
from {{ cookiecutter.package_name }}.settings import settings
from {{ cookiecutter.package_name }}.tasks import imports as steps
from {{ cookiecutter.package_name }}.workflows import imports

HEADER = "sku,quantity,price\r\n"
ROWS = 1000
#: Line, row, and what is wrong with it; the first row is line 2.
BAD = {
    17: (",1,1.00", "sku: String should have at least 1 character"),
    250: ("a,0,1.00", "quantity: Input should be greater than 0"),
    251: (
        "a,1.5,-1",
        "quantity: Input should be a valid integer, unable to parse string as an integer;"
        " price: Input should be greater than or equal to 0",
    ),
    1000: ("a,1", "2 values for 3 columns"),
    1001: ("a,1,1.00,", "4 values for 3 columns"),
}
LINES = [BAD[n][0] if n in BAD else f"sku-{n},{n},{n}.50" for n in range(2, ROWS + 2)]
FILE = HEADER + "".join(f"{line}\r\n" for line in LINES)

#: A file that each step writes.
WRITES = {
    "download": "work/*/source.csv",
    "split": "work/*/pieces/000003.csv",
    "validate": "work/*/rejected/000002.csv",
    "save": "imports/*/rejected.csv",
}
SUMMARY = {
    "rows": ROWS - len(BAD),
    "rejected": len(BAD),
    "saved_to": "imports/orders/rows.csv",
    "rejected_to": "imports/orders/rejected.csv",
}
OUTPUT = {"imports/orders/rows.csv", "imports/orders/rejected.csv", "imports/orders/summary.json"}


@pytest.fixture(autouse=True)
def fresh_settings(empty_folder: None, worker: None) -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def url(httpserver: HTTPServer) -> str:
    """Return the URL of a file with a thousand rows."""
    httpserver.expect_request("/orders.csv").respond_with_data(FILE)
    return httpserver.url_for("/orders.csv")


@pytest.fixture
def break_down(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Exception, int], None]:
    """Return a function that makes files fail when they are all but written, so many times."""

    def break_down(pattern: str, error: Exception, times: int) -> None:
        create, errors = artifacts.create, [error] * times

        @contextmanager
        def broken(pointer: str, mode: str = "wb") -> Iterator[Any]:
            with create(pointer, mode) as file:
                yield file
                if errors and fnmatch(pointer, pattern):
                    raise errors.pop()

        monkeypatch.setattr(artifacts, "create", broken)

    return break_down


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)


def files() -> set[str]:
    """Return all artifacts."""
    place = artifacts.store()
    return set(place.find("")) if place.exists("") else set()


def read(pointer: str) -> list[list[str]]:
    """Return the rows of an artifact."""
    with artifacts.open_text(pointer) as file:
        return list(csv.reader(file))


def abandoned_once(ended: Counter[tuple[str, str]]) -> bool:
    """Wait for the error callback, and a moment more."""
    wait_until(lambda: ended["imports.abandon", "SUCCESS"])
    time.sleep(0.3)
    return ended["imports.abandon", "SUCCESS"] == 1


def test_good_rows_are_saved_and_bad_ones_are_listed_with_line_and_reason(
    url: str, ended: Counter[tuple[str, str]]
) -> None:
    assert imports.import_file(url, "orders", 100).delay().get(timeout=30) == SUMMARY
    assert files() == OUTPUT
    header, *rows = read("imports/orders/rows.csv")
    assert ",".join(header) + "\r\n" == HEADER
    assert rows == [line.split(",") for n, line in enumerate(LINES, start=2) if n not in BAD]
    header, *rejected = read("imports/orders/rejected.csv")
    assert header == ["line", "reason"]
    assert rejected == [[str(line), reason] for line, (_, reason) in BAD.items()]
    assert ended["imports.validate", "SUCCESS"] == 10
    assert ended["imports.abandon", "SUCCESS"] == 0


def test_a_second_import_of_the_same_name_gives_the_first_result(
    url: str, httpserver: HTTPServer
) -> None:
    for _ in range(2):
        assert imports.import_file(url, "orders").delay().get(timeout=30) == SUMMARY
    assert len(httpserver.log) == 1
    assert files() == OUTPUT


def test_a_step_that_runs_again_changes_nothing(url: str, run: Callable[..., Any]) -> None:
    for _ in range(2):
        assert run(steps.download, url, "orders").state == "SUCCESS"
    twice = [steps.split.delay("orders", 100) for _ in range(2)]  # two chords at once
    assert twice[0].get(timeout=30, propagate=False)
    wait_until(twice[1].ready)
    before = {name: read(name) for name in OUTPUT}
    assert run(steps.validate, "000001.csv", "orders").state == "SUCCESS"
    assert run(steps.save, [], "orders") == ("SUCCESS", SUMMARY)
    for task in (steps.clean_up.s(SUMMARY, "orders"), steps.abandon.s("orders")):
        assert run(task.type, *task.args).state == "SUCCESS"
    assert {name: read(name) for name in files()} == before


@pytest.mark.parametrize("step", WRITES)
def test_a_step_that_fails_for_a_moment_is_tried_again(
    step: str,
    url: str,
    ended: Counter[tuple[str, str]],
    break_down: Callable[[str, Exception, int], None],
) -> None:
    break_down(WRITES[step], errors.TransientError("on purpose"), 1)
    assert imports.import_file(url, "orders", 100).delay().get(timeout=30) == SUMMARY
    assert ended[f"imports.{step}", "RETRY"] == 1
    assert ended["imports.abandon", "SUCCESS"] == 0
    assert files() == OUTPUT


@pytest.mark.parametrize("step", WRITES)
def test_a_step_that_fails_for_good_leaves_nothing_and_is_told_once(
    step: str,
    url: str,
    ended: Counter[tuple[str, str]],
    break_down: Callable[[str, Exception, int], None],
) -> None:
    break_down(WRITES[step], errors.PermanentError("on purpose"), 1)
    result = imports.import_file(url, "orders", 100).delay()
    assert abandoned_once(ended)
    assert ended[f"imports.{step}", "FAILURE"] == 1
    assert files() == set()
    assert result.state == "FAILURE"  # who waits for the end hears of it


def test_three_failing_pieces_call_the_error_callback_once(
    url: str, ended: Counter[tuple[str, str]], break_down: Callable[[str, Exception, int], None]
) -> None:
    break_down("work/*/rejected/*", errors.PermanentError("on purpose"), 3)
    imports.import_file(url, "orders", 100).delay()
    assert abandoned_once(ended)
    assert (ended["imports.validate", "FAILURE"], ended["imports.validate", "SUCCESS"]) == (3, 7)
    assert files() == set()


@pytest.mark.parametrize(
    ("error", "state"), [(errors.TransientError, "RETRY"), (errors.PermanentError, "FAILURE")]
)
def test_a_failing_clean_up_keeps_the_import(
    error: type[Exception],
    state: str,
    url: str,
    ended: Counter[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remove, errors = artifacts.remove, [error("on purpose")]

    def broken(pointer: str) -> None:
        if errors:
            raise errors.pop()
        remove(pointer)

    monkeypatch.setattr(artifacts, "remove", broken)
    imports.import_file(url, "orders", 100).delay()
    wait_until(lambda: ended["imports.clean_up", "SUCCESS"] or ended["imports.abandon", "SUCCESS"])
    assert ended["imports.clean_up", state] == 1
    assert files() == OUTPUT


def test_a_server_that_fails_for_a_moment_is_asked_again(httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request("/orders.csv").respond_with_data("", status=503)
    httpserver.expect_request("/orders.csv").respond_with_data(FILE)
    url = httpserver.url_for("/orders.csv")
    assert imports.import_file(url, "orders").delay().get(timeout=30) == SUMMARY


@pytest.mark.parametrize("given", ["ftp://example.com/", "http://a:b/", "status 404", "status 302"])
def test_what_cannot_be_downloaded_fails_at_once(
    given: str, httpserver: HTTPServer, run: Callable[..., Any]
) -> None:
    if given.startswith("status "):
        httpserver.expect_request("/").respond_with_response(Response(status=int(given[7:])))
        given = httpserver.url_for("/")
    state, error = run(steps.download, given, "orders")
    assert (state, type(error)) == ("FAILURE", errors.PermanentError)
    assert files() == set()


def test_a_file_that_is_too_large_fails_at_once(
    url: str, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_IMPORT_MAX_BYTES", str(len(FILE) - 1))
    state, error = run(steps.download, url, "orders")
    assert (state, type(error)) == ("FAILURE", errors.PermanentError)
    assert f"larger than {len(FILE) - 1} bytes" in str(error)
    assert files() == set()
    monkeypatch.setenv("APP_IMPORT_MAX_BYTES", str(len(FILE)))
    settings.cache_clear()
    assert run(steps.download, url, "orders").state == "SUCCESS"


def test_a_download_takes_no_longer_than_a_task_may(
    url: str, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "in_force", lambda: budget.Limits(-1, 300))
    monkeypatch.setattr(steps.download, "max_retries", 0)
    assert type(run(steps.download, url, "orders").value) is errors.TransientError
    assert files() == set()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "missing columns: sku, quantity, price"),
        (b"sku,price\r\n1,2\r\n", "missing columns: quantity"),
        (HEADER.encode(), "no rows"),
        (HEADER.encode() + b"\xff,1,1\r\n", "not a UTF-8 CSV file"),
        (HEADER.encode() + b'"' + b"x" * 200_000, "not a UTF-8 CSV file: field larger"),
    ],
)
def test_what_is_no_file_of_orders_fails_at_once(
    content: bytes, sentence: str, run: Callable[..., Any]
) -> None:
    artifacts.save("work/orders/source.csv", content)
    state, error = run(steps.split, "orders", 100)
    assert (state, type(error)) == ("FAILURE", errors.PermanentError)
    assert sentence in str(error)


def test_lines_are_counted_as_an_editor_does(run: Callable[..., Any]) -> None:
    rows = '"two\r\nlines",1,1.00\r\n\r\n  ,1,1.00\r\n'
    artifacts.save("work/orders/source.csv", f"\ufeff{HEADER}{rows}".encode())
    state, summary = run(steps.split, "orders", 1)
    assert (state, summary["rows"]) == ("SUCCESS", 1)
    assert read("imports/orders/rejected.csv")[1][0] == "5"


@pytest.mark.parametrize("import_id", ["../a", "a/b", ".", "a" * 65])
def test_the_name_of_an_import_is_a_plain_one(import_id: str) -> None:
    with pytest.raises(errors.PermanentError, match="use letters"):
        imports.import_file("http://example.com/", import_id)
