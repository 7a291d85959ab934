"""Files that tasks of Django have made."""

import api
from celery import states

from my_celery_project.artifacts import artifacts
from my_celery_project.celery import app
from my_celery_project.runtime.django.models import Job
from my_celery_project.runtime.web import (
    artifacts as downloads,
)
from my_celery_project.site import catalog
from my_celery_project.tasks import heartbeat, reports


class TestDownloads(api.Api):
    def ended(self, task: str, result: object) -> str:
        """Return the path of the file of a task that has returned something."""
        job = Job.objects.create(name="a name", task=task)
        app.backend.store_result(str(job.pk), result, states.SUCCESS)
        return f"/tasks/{job.pk}/artifact"

    def test_a_file_is_downloaded(self) -> None:
        assert reports.totals.name in catalog.ALLOWED.artifacts
        content = b"region,amount\r\n" * downloads.PIECE
        place = self.ended(reports.totals.name, artifacts.save("reports/a.csv", content))
        with self.opened(place) as answer:
            assert answer.status == 200
            assert answer.read() == content
        assert answer.headers["Content-Length"] == str(len(content))
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        named = "attachment; filename=\"a.csv\"; filename*=UTF-8''a.csv"
        assert answer.headers["Content-Disposition"] == named
        assert answer.headers["Content-Security-Policy"] == "sandbox"

    def test_only_tasks_that_the_catalogue_names_have_a_file(self) -> None:
        pointer = artifacts.save("kept.csv", b"x")
        assert self.call("GET", self.ended(heartbeat.beat.name, pointer))[0] == 404
        assert self.call("GET", self.ended("", pointer))[0] == 404
        place = self.ended(reports.totals.name, "../kept.csv")
        status, told, _ = self.call("GET", place)
        assert (status, told["detail"]) == (404, "the file of this task does not exist (any more)")
        assert self.call("GET", place, token="wrong")[0] == 401  # noqa: S106

    def test_a_task_that_waits_has_no_file_yet(self) -> None:
        place = self.waiting().replace("jobs", "tasks")
        status, told, _ = self.call("GET", f"{place}/artifact")
        assert (status, "ask again later" in told["detail"]) == (409, True)
