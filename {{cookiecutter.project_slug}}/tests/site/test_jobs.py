{% set keeps_results = cookiecutter._keeps_results[cookiecutter.result_backend] %}
"""Jobs over HTTP: a real server, a real worker, real transactions."""

import http.client
import json
import time
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
{% if keeps_results %}
from celery import states
from celery.exceptions import TaskRevokedError
{% else %}
from celery.signals import task_postrun
{% endif %}
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client, LiveServerTestCase, override_settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.runtime.django.models import (
    Job,
)
from {{ cookiecutter.package_name }}.runtime.django.task import (
    JOB_HEADER,
)
from {{ cookiecutter.package_name }}.runtime.django.tasks import (
    clean_up,
)
{% if keeps_results %}
from {{ cookiecutter.package_name }}.runtime.tasks.progress import (
    PROGRESS,
    ProgressTask,
)
from {{ cookiecutter.package_name }}.site import catalog, views
{% endif %}
from {{ cookiecutter.package_name }}.tasks import heartbeat


{% if keeps_results %}
@app.task(base=ProgressTask, bind=True, name="tests.endless")
def endless(self: ProgressTask) -> None:
    for _ in range(1000):
        self.progress(1, 2)
        time.sleep(0.02)


{% endif %}
class ApiTest(LiveServerTestCase):
    """Call the API over a socket."""

    def call(
        self, method: str, path: str, body: Any = None, token: str = ""
    ) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:
        """Return status, body and headers of an answer."""
        connection = http.client.HTTPConnection(self.server_thread.host, self.server_thread.port)
        headers = {"Authorization": f"Bearer {token or settings.API_TOKEN}"}
        text = body if isinstance(body, str) else json.dumps(body)
        connection.request(method, path, text if body is not None else None, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        return answer.status, content, answer.headers

    def submit(self) -> str:
        """Submit a heartbeat and return its place."""
        status, told, headers = self.call("POST", "/jobs/heartbeat")
        assert status == 202
        assert headers["Location"] == told["url"] == f"/jobs/{told['id']}"
        return headers["Location"]

    def test_a_wrong_token_is_refused(self) -> None:
        for method, path in (("POST", "/jobs/heartbeat"), ("GET", f"/jobs/{uuid4()}")):
            status, told, headers = self.call(method, path, token="wrong")  # noqa: S106
            assert (status, told["status"]) == (401, 401)
            assert headers["WWW-Authenticate"] == "Bearer"
            assert headers["Content-Type"] == "application/problem+json"
        assert not Job.objects.exists()

    def test_what_cannot_be_a_job_is_refused(self) -> None:
        for path, body, expected in (
            ("/jobs/celery-chord", {}, 404),
            ("/jobs/heartbeat", "no JSON", 422),
            ("/jobs/heartbeat", [], 422),
            ("/jobs/heartbeat", {"no": "argument"}, 422),
            ("/jobs/heartbeat", {"x": "y" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE}, 413),
        ):
            status, told, _ = self.call("POST", path, body)
            assert (status, told["status"]) == (expected, expected)
        assert not Job.objects.exists()

    def test_a_job_that_never_was_is_not_found(self) -> None:
        for method in ("GET", "DELETE"):
            assert self.call(method, f"/jobs/{uuid4()}")[0] == 404

    def test_a_job_that_the_broker_refuses_is_cancelled(self) -> None:
        with patch.object(heartbeat.beat, "apply_async", side_effect=OperationalError("away")):
            status, told, _ = self.call("POST", "/jobs/heartbeat")
        assert (status, told["title"]) == (503, "Service Unavailable")
        assert Job.objects.get().cancelled_at

    def test_the_request_id_comes_back(self) -> None:
        answer = Client().get("/health/live", headers={"X-Request-ID": "abc-1"})
        assert answer["X-Request-ID"] == "abc-1"
        answer = Client().get("/health/live", headers={"X-Request-ID": "not valid"})
        assert len(answer["X-Request-ID"]) == 32

    def test_health(self) -> None:
        assert self.call("GET", "/health/live")[:2] == (200, {"live": True})
        expected = {"ready": True, "database": True, "broker": True}
        assert self.call("GET", "/health/ready")[:2] == (200, expected)
        with patch.object(app, "connection_for_write", side_effect=OSError("away")):
            expected = {"ready": False, "database": True, "broker": False}
            assert self.call("GET", "/health/ready")[:2] == (503, expected)

    def test_a_plain_request_in_production_goes_to_https_but_probes_do_not(self) -> None:
        with override_settings(SECURE_SSL_REDIRECT=True):
            assert Client().get("/jobs/heartbeat").status_code == 301
            assert Client().get("/health/live").status_code == 200

    def test_old_jobs_are_deleted(self) -> None:
        old, new = Job.objects.create(name="old"), Job.objects.create(name="new")
        Job.objects.filter(pk=old.pk).update(requested_at=timezone.now() - timedelta(days=31))
        assert clean_up() == 1
        assert list(map(str, Job.objects.all())) == [f"new {new.pk}"]

    def waiting(self) -> str:
        """Submit a job that no worker gets, and return its place."""
        with patch.object(heartbeat.beat, "apply_async"):
            return self.submit()

{% if keeps_results %}
    def test_a_job_that_waits_can_be_cancelled_once(self) -> None:
        place = self.waiting()
        assert self.call("GET", place)[1]["state"] == states.PENDING
        with patch.object(app.control, "revoke") as revoke:
            status, told, _ = self.call("DELETE", place)
            assert (status, told["state"]) == (202, states.REVOKED)
            revoke.assert_called_once_with(told["id"], terminate=views.CAN_TERMINATE)
            status, told, _ = self.call("DELETE", place)
            assert (status, told["detail"]) == (409, "the job has ended: REVOKED")
        assert self.call("GET", place)[1]["state"] == states.REVOKED

    def test_a_job_that_runs_is_cancelled_if_its_pool_can(self) -> None:
        place = self.waiting()
        app.backend.store_result(place.rpartition("/")[2], {"percent": 50}, PROGRESS)
        told = self.call("GET", place)[1]
        assert (told["state"], told["progress"]) == (PROGRESS, {"percent": 50})
        app.backend.store_result(place.rpartition("/")[2], {}, states.STARTED)
        with patch.object(app.control, "revoke"):
            for can, expected in ((False, 409), (True, 202)):
                with patch.object(views, "CAN_TERMINATE", can):
                    assert self.call("DELETE", place)[0] == expected

    @pytest.mark.usefixtures("worker")
    def test_a_job_that_reports_is_cancelled_under_every_pool(self) -> None:
        with patch.dict(catalog.CATALOG, {"endless": catalog.Entry(endless)}):
            place = self.call("POST", "/jobs/endless")[2]["Location"]
            result = app.AsyncResult(place.rpartition("/")[2])
            while str(result.state) != PROGRESS:
                time.sleep(0.01)
            assert self.call("DELETE", place)[0] == 202
            with pytest.raises(TaskRevokedError):
                result.get(timeout=10)

    def test_a_failure_is_told(self) -> None:
        place = self.waiting()
        app.backend.mark_as_failure(place.rpartition("/")[2], ValueError("too bad"))
        told = self.call("GET", place)[1]
        assert (told["state"], told["error"]) == (states.FAILURE, "ValueError: too bad")

    def test_a_broker_that_is_away_is_told(self) -> None:
        place = self.waiting()
        with patch.object(app.control, "revoke", side_effect=OperationalError("away")):
            assert self.call("DELETE", place)[0] == 503

    @pytest.mark.usefixtures("worker")
    def test_the_result_is_told(self) -> None:
        place = self.submit()
        app.AsyncResult(place.rpartition("/")[2]).get(timeout=10)
        told = self.call("GET", place)[1]
        assert told["state"] == states.SUCCESS
        assert told["result"]

    @pytest.mark.usefixtures("worker")
    def test_a_cancelled_job_does_not_start(self) -> None:
        job = Job.objects.create(name="heartbeat")
        job.cancel()
        result = heartbeat.beat.apply_async(
            task_id=str(job.pk), headers={JOB_HEADER: str(job.pk)}, ignore_result=False
        )
        with pytest.raises(TaskRevokedError, match="cancelled"):
            result.get(timeout=10)
{% else %}
    def test_a_job_can_be_cancelled(self) -> None:
        place = self.waiting()
        assert self.call("GET", place)[1]["cancelled_at"] is None
        with patch.object(app.control, "revoke") as revoke:
            status, told, _ = self.call("DELETE", place)
            assert status == 202
            revoke.assert_called_once_with(told["id"])
        assert self.call("GET", place)[1]["cancelled_at"]
        with patch.object(app.control, "revoke", side_effect=OperationalError("away")):
            assert self.call("DELETE", place)[0] == 503

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
{% endif %}


@pytest.mark.django_db
def test_expired_sessions_are_deleted(client: Client, django_user_model: type[User]) -> None:
    client.force_login(django_user_model.objects.create_user("ada"))
    clean_up()
    assert Session.objects.count() == 1
    Session.objects.update(expire_date=timezone.now() - timedelta(days=1))
    clean_up()
    assert Session.objects.count() == 0
