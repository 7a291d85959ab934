import ast
from pathlib import Path
from typing import Any

import pytest
from celery import chain
from celery.canvas import Signature

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.runtime.tasks import (
    chords,
)
from {{ cookiecutter.package_name }}.runtime.tasks.base import (
    BaseTask,
)


@app.task(base=BaseTask, name="tests.keeps", ignore_result=False)
def keeps() -> None: ...


@app.task(base=BaseTask, name="tests.ignores")
def ignores() -> None: ...


def test_a_header_that_keeps_its_results_is_accepted() -> None:
    kept = ignores.signature(options={"ignore_result": False})
    chord = chords.fan_out([keeps.si(), kept, chain(ignores.si(), keeps.si())], ignores.s())
    assert len(chord.tasks) == 3


@pytest.mark.parametrize(
    "task",
    [
        ignores.si(),
        keeps.signature(options={"ignore_result": True}),
        chain(keeps.si(), ignores.si()),
    ],
    ids=["task", "option", "chain"],
)
def test_a_header_that_ignores_a_result_is_refused(task: Signature[Any]) -> None:
    with pytest.raises(ValueError, match="set ignore_result=False"):
        chords.fan_out([keeps.si(), task], keeps.s())


def test_an_empty_header_is_refused() -> None:
    with pytest.raises(ValueError, match="needs at least one task"):
        chords.fan_out([], keeps.s())


def test_every_chord_is_made_by_fan_out() -> None:
    package = Path(chords.__file__).parents[2]
    makers = {path.name for path in package.rglob("*.py") if mentions_chord(path)}
    assert makers == {"chords.py"}


def mentions_chord(path: Path) -> bool:
    """Whether the code of a file names Celery's `chord`."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    code = (vars(node).values() for node in nodes if not isinstance(node, ast.Constant))
    return any("chord" in values for values in code)
