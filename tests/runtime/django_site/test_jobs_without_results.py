"""What jobs tell where nobody keeps results."""

import time
from uuid import uuid4

import api
import pytest
from celery.signals import task_postrun
from django.test import Client
from host import KEEPS_RESULTS

from my_celery_project.runtime.django.models import Job
from my_celery_project.runtime.django.task import JOB_HEADER
from my_celery_project.tasks import heartbeat


@pytest.mark.skipif(KEEPS_RESULTS, reason="this project keeps results")
class TestJobsWithoutResults(api.Api):
    def test_a_job_can_be_cancelled(self) -> None:
        place = self.waiting()
        assert self.call("GET", place)[1]["cancelled_at"] is None
        assert self.call("DELETE", place)[0] == 202
        assert self.call("GET", place)[1]["cancelled_at"]

    def test_nobody_knows_how_a_task_is(self) -> None:
        for path in ("", "/events", "/artifact"):
            assert Client().get(f"/tasks/{uuid4()}{path}").status_code == 404
        assert Client().get("/live").status_code == 404

    @pytest.mark.usefixtures("worker")
    def test_a_cancelled_job_does_not_start(self) -> None:
        ended: list[str] = []
        task_postrun.connect(record := lambda state, **_: ended.append(state))
        job = Job.objects.create(name="heartbeat")
        job.cancel()
        heartbeat.beat.apply_async(task_id=str(job.pk), headers={JOB_HEADER: str(job.pk)})
        deadline = time.monotonic() + 10
        while not ended and time.monotonic() < deadline:
            time.sleep(0.01)
        task_postrun.disconnect(record)
        assert ended == ["IGNORED"]
