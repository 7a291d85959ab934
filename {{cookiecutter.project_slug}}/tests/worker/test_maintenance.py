import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from {{ cookiecutter.package_name }} import config
from {{ cookiecutter.package_name }}.artifacts import artifacts
from {{ cookiecutter.package_name }}.runtime import errors
from {{ cookiecutter.package_name }}.settings import settings
from {{ cookiecutter.package_name }}.tasks import maintenance


@pytest.fixture(autouse=True)
def fresh_settings(empty_folder: None) -> None:
    settings.cache_clear()


def test_old_artifacts_are_purged(run: Callable[..., Any]) -> None:
    assert run(maintenance.purge_artifacts, older_than_days=1) == ("SUCCESS", 0)
    for name in ("old.csv", "new.csv"):
        artifacts.save(f"reports/{name}", b"...")
    folder = Path(".celery/artifacts/reports")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(folder / "old.csv", (two_days_ago, two_days_ago))
    assert run(maintenance.purge_artifacts, older_than_days=1) == ("SUCCESS", 1)
    assert [path.name for path in folder.iterdir()] == ["new.csv"]


def test_a_full_disk_is_an_error(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=25, total=200))
    assert run(maintenance.check_disk) == ("SUCCESS", 12.5)
    monkeypatch.setenv("APP_MIN_FREE_DISK_PERCENT", "12.6")
    settings.cache_clear()
    assert isinstance(run(maintenance.check_disk).value, errors.PermanentError)
    settings.cache_clear()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("APP_SMTP_PORT", "many", "APP_SMTP_PORT"),
        ("APP_ENV", "production", "APP_ENV=production: APP_ARTIFACTS_URL, APP_SMTP_HOST"),
    ],
)
def test_wrong_settings_end_in_one_line(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(config.ConfigurationError, match=expected) as error:
        settings()
    assert "\n" not in str(error.value)
