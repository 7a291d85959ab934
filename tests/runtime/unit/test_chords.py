from typing import Any

import pytest
from celery import chain
from celery.canvas import Signature

from my_celery_project.celery import app
from my_celery_project.runtime.tasks import (
    chords,
)
from my_celery_project.runtime.tasks.base import (
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
