"""Workflows through the workers of the Procfile on real servers."""

import json
import subprocess
import sys

import pytest
from pytest_httpserver import HTTPServer

from {{ cookiecutter.package_name }}.artifacts import artifacts
from {{ cookiecutter.package_name }}.runtime.testing.fleet import (
    Fleet,
)
from {{ cookiecutter.package_name }}.settings import settings
from {{ cookiecutter.package_name }}.workflows import imports

pytestmark = pytest.mark.integration


def call(fleet: Fleet, code: str) -> str:
    """Run code as a program that uses the project, and return what it prints."""
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, env=fleet.environment, encoding="utf-8", timeout=60)


def test_an_import_goes_through_the_fleet(fleet: Fleet, httpserver: HTTPServer) -> None:
    settings.cache_clear()
    lines = "".join(f"sku-{n},{n},1.50\r\n" for n in range(1000))  # a quantity of 0 is wrong
    httpserver.expect_request("/orders.csv").respond_with_data(f"sku,quantity,price\r\n{lines}")
    fleet.start(*fleet.workers)
    url = httpserver.url_for("/orders.csv")
    start = f"print(json.dumps(import_file({url!r}, 'orders', 100).delay().get(timeout=60)))"
    summary = json.loads(
        call(fleet, f"import json\nfrom {imports.__name__} import import_file\n{start}")
    )
    assert (summary["rows"], summary["rejected"]) == (999, 1)
    with artifacts.open_text(summary["rejected_to"]) as file:
        assert file.read().splitlines()[1] == "2,quantity: Input should be greater than 0"
    assert not artifacts.exists("work/orders")
