from collections.abc import Callable
from typing import Any

import pytest

from {{ cookiecutter.package_name }}.artifacts import artifacts
from {{ cookiecutter.package_name }}.runtime import errors
from {{ cookiecutter.package_name }}.settings import settings
from {{ cookiecutter.package_name }}.tasks import reports


@pytest.fixture(autouse=True)
def fresh_settings(empty_folder: None) -> None:
    settings.cache_clear()


def totals(run: Callable[..., Any], rows: str) -> Any:
    source = artifacts.save("in/sales.csv", rows.encode())
    return run(reports.totals, source, group_by="region", amount="amount")


def test_a_report_adds_up_and_returns_a_pointer(run: Callable[..., Any]) -> None:
    state, pointer = totals(run, "region,amount\nwest,1.10\neast,2\nwest,0.20\n")
    assert state == "SUCCESS"
    with artifacts.open_text(pointer) as file:
        assert file.read().splitlines() == ["region,amount", "east,2", "west,1.30"]


def test_a_bad_row_is_named(run: Callable[..., Any]) -> None:
    state, error = totals(run, "region,amount\nwest,1\neast,two\n")
    assert (state, type(error)) == ("FAILURE", errors.PermanentError)
    assert "line 3" in str(error)


@pytest.mark.parametrize("pointer", ["../secret", "/etc/passwd", "a/../../b", "", "missing.csv"])
def test_only_files_of_the_store_are_read(pointer: str, run: Callable[..., Any]) -> None:
    state, error = run(reports.totals, pointer, "region", "amount")
    assert (state, type(error)) == ("FAILURE", errors.PermanentError)
