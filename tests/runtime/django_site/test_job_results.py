"""What jobs tell where results are kept: state, progress, result; and how a job is cancelled."""

import threading
import time
from unittest.mock import patch
from uuid import uuid4

import api
import pytest
from celery import states
from celery.exceptions import TaskRevokedError
from kombu.exceptions import OperationalError

from my_celery_project.celery import app
from my_celery_project.runtime.django.models import Job
from my_celery_project.runtime.django.task import JOB_HEADER
from my_celery_project.runtime.tasks import followed
from my_celery_project.runtime.tasks.followed import SENT, NotCancelledError
from my_celery_project.runtime.tasks.progress import PROGRESS, ProgressTask
from my_celery_project.runtime.testing.servers import wait_until
from my_celery_project.runtime.web.catalogue import NoArguments
from my_celery_project.site import catalog
from my_celery_project.tasks import heartbeat

STARTED, GO = threading.Event(), threading.Event()


@app.task(name="tests.wait_for_a_sign")
def wait() -> bool:
    STARTED.set()
    return GO.wait(20)


@app.task(base=ProgressTask, bind=True, name="tests.endless")
def endless(self: ProgressTask) -> None:
    for _ in range(1000):
        self.progress(1, 2)
        time.sleep(0.02)


class TestJobsWithResults(api.Api):
    def test_a_job_that_waits_can_be_cancelled(self) -> None:
        place = self.waiting()
        task_place = place.replace("jobs", "tasks")
        assert self.call("GET", place)[1]["state"] == states.PENDING
        assert self.call("GET", task_place)[1]["state"] == SENT
        assert self.call("GET", f"{task_place}/result")[0] == 409
        # No worker need hear of it, so that it works while the broker is away.
        with patch.object(app, "connection_for_write", side_effect=OperationalError("away")):
            status, told, _ = self.call("DELETE", place)
        assert (status, told["state"]) == (202, states.REVOKED)
        status, told, _ = self.call("DELETE", task_place)
        assert (status, told["state"], told["ended"]) == (200, states.REVOKED, True)
        assert self.call("GET", place)[1]["state"] == states.REVOKED

    def test_the_two_paths_tell_of_the_same_task(self) -> None:
        with patch.object(heartbeat.beat, "apply_async"):
            status, told, headers = self.call("POST", "/tasks", {"task": heartbeat.beat.name})
        assert (status, headers["Location"]) == (202, f"/tasks/{told['id']}")
        about = self.call("GET", f"/jobs/{told['id']}")[1]
        assert (about["id"], about["job"]) == (told["id"], "heartbeat")
        app.backend.store_result(told["id"], {"percent": 50}, PROGRESS)
        about = self.call("GET", headers["Location"])[1]
        assert (about["state"], about["progress"]) == (PROGRESS, {"percent": 50})

    def test_a_task_that_was_never_sent_is_not_found(self) -> None:
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/result")):
            assert self.call(method, f"/tasks/{uuid4()}{path}")[0] == 404
            status, told, _ = self.call(method, f"/tasks/7{path}")
            assert (status, told["errors"][0]["field"]) == (422, "task_id")

    def test_a_job_that_runs_is_cancelled_if_its_pool_can(self) -> None:
        place = self.waiting()
        job = Job.objects.get()
        app.backend.store_result(str(job.pk), {}, states.STARTED)
        with patch.object(followed, "end", side_effect=NotCancelledError("its pool cannot")):
            status, told, _ = self.call("DELETE", place)
            assert (status, told["detail"]) == (409, "its pool cannot")
            job.refresh_from_db()
            assert job.cancelled_at is None
        with patch.object(followed, "end") as end:
            assert self.call("DELETE", place)[0] == 202
            assert end.called
        app.backend.store_result(str(job.pk), 7, states.SUCCESS)
        status, told, _ = self.call("DELETE", place)
        assert (status, told["detail"]) == (409, "the task has ended already: SUCCESS")

    @pytest.mark.usefixtures("worker")
    def test_a_job_that_threads_run_is_started_and_cannot_be_ended(self) -> None:
        STARTED.clear()
        GO.clear()
        with patch.dict(catalog.ALLOWED, {wait.name: NoArguments}):
            place = self.call("POST", "/tasks", {"task": wait.name})[2]["Location"]
        try:
            wait_until(STARTED.is_set)  # until then, it may still see that it was cancelled
            assert self.call("GET", place)[1]["state"] == states.STARTED
            assert self.call("DELETE", place)[0] == 409
            assert Job.objects.get().cancelled_at is None
        finally:
            GO.set()
        wait_until(lambda: self.call("GET", place)[1]["state"] == states.SUCCESS)

    @pytest.mark.usefixtures("worker")
    def test_a_job_that_reports_is_cancelled_under_every_pool(self) -> None:
        with patch.dict(catalog.ALLOWED, {endless.name: NoArguments}):
            place = self.call("POST", "/tasks", {"task": endless.name})[2]["Location"]
        result = app.AsyncResult(place.rpartition("/")[2])
        wait_until(lambda: result.state == PROGRESS)
        assert self.call("DELETE", place)[0] == 200
        with pytest.raises(TaskRevokedError):
            result.get(timeout=10)

    def test_a_failure_is_told(self) -> None:
        place = self.waiting()
        app.backend.mark_as_failure(place.rpartition("/")[2], ValueError("too bad"))
        told = self.call("GET", place)[1]
        assert (told["state"], told["error"]) == (states.FAILURE, "ValueError: too bad")

    def test_a_broker_that_is_away_is_told(self) -> None:
        place = self.waiting()
        app.backend.store_result(place.rpartition("/")[2], {}, states.STARTED)
        with patch.object(app, "connection_for_write", side_effect=OperationalError("away")):
            assert self.call("DELETE", place)[0] == 503
        assert Job.objects.get().cancelled_at is None

    @pytest.mark.usefixtures("worker")
    def test_the_result_is_told(self) -> None:
        place = self.submit()
        app.AsyncResult(place.rpartition("/")[2]).get(timeout=10)
        told = self.call("GET", place)[1]
        assert told["state"] == states.SUCCESS
        assert told["result"]
        place = place.replace("jobs", "tasks")
        assert self.call("GET", place)[1]["ended"] is True
        assert self.call("GET", f"{place}/result")[1]["result"] == told["result"]

    @pytest.mark.usefixtures("worker")
    def test_a_cancelled_job_does_not_start(self) -> None:
        job = Job.objects.create(name="heartbeat")
        job.cancel()
        result = heartbeat.beat.apply_async(
            task_id=str(job.pk), headers={JOB_HEADER: str(job.pk)}, ignore_result=False
        )
        with pytest.raises(TaskRevokedError, match="cancelled"):
            result.get(timeout=10)
