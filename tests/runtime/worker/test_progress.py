import threading
import time
from collections.abc import Callable
from typing import Any

from my_celery_project.celery import app
from my_celery_project.runtime.tasks import progress

GO_ON = threading.Event()


@app.task(base=progress.ProgressTask, bind=True, name="tests.track")
def track(self: progress.ProgressTask, total: int) -> int:
    done = 0
    for item in self.track(range(total), total, "counting"):
        done += 1
        if item == total // 2:
            self.progress(item, total, "half way")
            GO_ON.wait(10)
    return done


def test_progress_is_read_while_the_task_runs(worker: None) -> None:
    result = track.delay(10)
    deadline = time.monotonic() + 10
    while (info := result.info or {}).get("message") != "half way":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert result.state == progress.PROGRESS
    assert info == {"current": 5, "total": 10, "percent": 50.0, "message": "half way"}
    GO_ON.set()
    assert result.get(timeout=10) == 10


def test_progress_of_nothing_is_complete(run: Callable[..., Any]) -> None:
    assert run(track, 0) == ("SUCCESS", 0)
