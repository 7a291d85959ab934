"""The two sizes of the tests, and the summary of a `nox` run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from servers import missing
from variants import TEMPLATE, Answers, Choice, all_variants, allowed, few, options, pairwise

Told = Callable[..., tuple[int, str]]


def test_few_variants_hold_every_choice() -> None:
    choices = {(name, choice) for name, found in options().items() for choice in found}
    for turn in ("one", "another"):
        chosen = few(pairwise(), turn)
        assert {pair for answers in chosen for pair in answers.items()} == choices
        assert len(chosen) < len(pairwise()) / 3


def test_few_variants_are_others_in_another_turn() -> None:
    variants = list(all_variants("broker", "pool"))
    chosen = [few(variants, str(turn)) for turn in range(9)]
    assert chosen == [few(variants, str(turn)) for turn in range(9)]
    assert {len(found) for found in chosen} == {len(options()["pool"])}
    assert [answers for answers in variants if not any(answers in found for found in chosen)] == []


def test_an_answer_that_is_not_given_counts_as_the_default() -> None:
    assert few([{"broker": "redis"}, {"pool": "threads"}, {"broker": "rabbitmq"}]) == [
        {"pool": "threads"},
        {"broker": "rabbitmq"},
    ]


def test_few_variants_can_hold_every_pair_of_choices() -> None:
    def pairs(variants: list[Answers]) -> set[frozenset[tuple[str, Choice]]]:
        return {frozenset(pair) for answers in variants for pair in combinations(answers.items(), 2)}

    every = [answers for answers in all_variants("broker", "pool", "database") if allowed(answers)]
    chosen = few(every, size=2)
    assert pairs(chosen) == pairs(every)
    assert len(chosen) < len(every) / 1.5


def test_one_session_runs_each_module_of_tests() -> None:
    sessions = (TEMPLATE / "noxfile.py").read_text("utf-8")
    lines = "\n".join(re.findall(r".*(?:module|test_).*", sessions))
    named = re.findall(r"\"(?:tests/test_)?(\w+)(?:\.py)?\"", lines)
    modules = {path.stem.removeprefix("test_") for path in (TEMPLATE / "tests").glob("test_*.py")}
    assert {module: named.count(module) for module in modules} == dict.fromkeys(modules, 1)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Return a function that writes records, and gives exit code and output of the summary of them."""

    def summarize(*options: str, **records: object) -> tuple[int, str]:
        places = []
        for name, record in records.items():
            places.append(f"{name}={tmp_path / name}")
            if record:
                (tmp_path / name).write_text(json.dumps(record), "utf-8")
        done = subprocess.run(
            [sys.executable, TEMPLATE / "tests" / "summary.py", *options, *places],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        return done.returncode, done.stdout

    return summarize


PASSED: dict[str, Any] = {
    "counts": {"passed": 3, "skipped": 0, "failed": 0, "error": 0},
    "seconds": 61.7,
    "figures": ["Servers: Redis 7", "a table  \nof two lines"],
    "skipped": [],
    "cpu": {"tests/test_bake.py::test_a": 70.5, "tests/test_bake.py::test_b": 20.0},
}


def skip(*arguments: str) -> str:
    """Return the reason with which a test is skipped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CI", raising=False)
        with pytest.raises(pytest.skip.Exception) as raised:
            missing(*arguments)
    return str(raised.value)


def test_a_table_says_what_was_missing_and_how_to_get_it(told: Told, tmp_path: Path) -> None:
    redis, root = skip("redis-server", "apt-get install redis-server"), skip("a Debian", "as root, .ci/run makes it")
    counts = {"passed": 1, "skipped": 4, "failed": 0, "error": 0}
    skipped = [[f"tests/test_web.py::test_a[{number}]", redis] for number in (1, 2)]
    skipped += [["tests/test_faults.py::test_b", redis], ["tests/test_web.py::test_c", root]]
    proof = tmp_path / "proof.md"
    code, output = told("--proof", str(proof), bake=PASSED, servers={**PASSED, "counts": counts, "skipped": skipped})
    rows = [re.split(r"  +", line) for line in output.splitlines()]
    assert ["bake", "3", "0", "0", "0", "1:02", "1:30"] in rows
    assert ["all", "4", "4", "0", "0", "2:03", "3:01"] in rows
    assert rows.index(["missing", "how to get it", "skipped tests"]) + 1 == rows.index(
        ["redis-server", "apt-get install redis-server", "3: 1 of test_faults, 2 of test_web"]
    )
    assert ["a Debian", "as root, .ci/run makes it", "1: 1 of test_web"] in rows
    assert (code, proof.exists()) == (1, False)
    assert "stays as it was" in output


@pytest.mark.parametrize(
    "record", [None, {**PASSED, "counts": {**PASSED["counts"], "failed": 1}}], ids=["broken off", "failed"]
)
def test_there_is_no_proof_of_tests_that_did_not_pass(record: object, told: Told, tmp_path: Path) -> None:
    code, output = told("--proof", str(tmp_path / "proof.md"), bake=PASSED, servers=record)
    assert (code, (tmp_path / "proof.md").exists()) == (1, False)
    assert "stays as it was" in output


def test_a_full_run_that_passed_is_proved(told: Told, tmp_path: Path) -> None:
    code, output = told("--proof", str(tmp_path / "proof.md"), bake=PASSED, servers=PASSED)
    assert (code, "Nothing was missing" in output) == (0, True)
    text = (tmp_path / "proof.md").read_text("utf-8")
    assert "| bake | 3 | 0 | 0 | 0 | 1:02 |" in text
    assert "| all | 6 | 0 | 0 | 0 | 2:03 |" in text
    assert "### servers\n\n```text\nServers: Redis 7\n\na table\nof two lines\n```" in text
    assert re.search(r"\d{4}-\d\d-\d\d, on \d+ processors, \d+ GB of memory, .+, Python 3\.\d+", text)
