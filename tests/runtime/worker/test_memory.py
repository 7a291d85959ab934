import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

from my_celery_project.tasks import heartbeat

TASKS = 100

#: Bytes per task that may stay behind; Celery itself keeps the ids of the last tasks.
ALLOWED = 1500


def test_memory_does_not_grow_with_the_number_of_tasks(run: Callable[..., Any]) -> None:
    def run_many() -> int:
        for _ in range(TASKS):
            run(heartbeat.beat)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    run_many()
    tracemalloc.start()
    try:
        before = run_many()
        assert (run_many() - before) / TASKS < ALLOWED
    finally:
        tracemalloc.stop()
