import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable

import pytest

from {{ cookiecutter.package_name }}.artifacts import artifacts
from {{ cookiecutter.package_name }}.runtime import errors
from {{ cookiecutter.package_name }}.settings import settings
from {{ cookiecutter.package_name }}.workflows import archive

NAMES = [f"archive/{n}.csv" for n in range(5)]
CHECKSUMS = {name: hashlib.sha256(name.encode()).hexdigest() for name in NAMES}


@pytest.fixture(autouse=True)
def files(empty_folder: None) -> None:
    settings.cache_clear()
    for name in NAMES:
        artifacts.save(name, name.encode())


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)


def test_files_are_sealed_and_a_missing_one_does_not_stop_the_others(worker: None) -> None:
    archive.seal([*NAMES, "archive/missing.csv"], "archive/manifest.json").delay()
    wait_until(lambda: artifacts.exists("archive/manifest.json"))
    with artifacts.open_text("archive/manifest.json") as file:
        assert json.load(file) == {**CHECKSUMS, "archive/missing.csv": None}


def test_each_damaged_file_is_a_failed_task_and_the_others_are_verified(
    worker: None, ended: Counter[tuple[str, str]]
) -> None:
    artifacts.save(NAMES[1], b"damaged")
    artifacts.remove(NAMES[3])
    archive.verify(CHECKSUMS).delay()
    wait_until(lambda: ended.total() == 3)
    assert ended == {("celery.starmap", "SUCCESS"): 1, ("archive.verify", "FAILURE"): 2}


def test_files_are_erased_and_one_that_fails_goes_on_alone(
    worker: None,
    ended: Counter[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remove, failures = artifacts.remove, [errors.TransientError("on purpose")] * 2

    def broken(pointer: str) -> None:
        if pointer == NAMES[1] and failures:
            raise failures.pop()
        remove(pointer)

    monkeypatch.setattr(artifacts, "remove", broken)
    archive.erase([*NAMES, "archive/missing.csv"], 3).delay()
    wait_until(lambda: not any(artifacts.exists(name) for name in NAMES))
    wait_until(lambda: ended.total() == 4)
    assert ended == {
        ("celery.starmap", "SUCCESS"): 2,
        ("archive.erase", "RETRY"): 1,
        ("archive.erase", "SUCCESS"): 1,
    }
