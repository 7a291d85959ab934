"""The app with parts that fail, for the tests of chords: `celery -A chords worker`."""

from celery.utils.log import get_task_logger

from my_celery_project.celery import app
from my_celery_project.runtime import errors
from my_celery_project.runtime.tasks import (
    base,
    chords,
)

logger = get_task_logger(__name__)


@app.task(base=base.BaseTask, bind=True, name="tests.part", ignore_result=False)
def part(self: base.BaseTask, failing: bool) -> None:
    if not self.request.retries:
        raise errors.TransientError("on purpose")
    if failing:
        raise errors.PermanentError("on purpose")


@app.task(base=base.BaseTask, name="tests.body")
def body(parts: list[None]) -> None:
    logger.info("body ran")


@app.task(base=base.BaseTask, name="tests.on_error")
def on_error() -> None:
    logger.info("error callback ran")


@app.task(base=base.BaseTask, bind=True, name="tests.replaced")
def replaced(self: base.BaseTask, failing: int) -> None:
    self.replace(chords.fan_out([part.si(n < failing) for n in range(5)], body.s()))


def send_chords(rounds: int) -> None:
    """Send chords of which no task, one, and three fail, a number of times."""
    for failing in (0, 1, 3) * rounds:
        replaced.si(failing).on_error(on_error.si()).delay()
