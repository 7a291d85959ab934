{% set keeps_results = cookiecutter.__results %}
"""Tasks over HTTP, which are jobs: a real server, a real worker, real transactions."""

import http.client
import json
{{ "import threading\n" if cookiecutter.__results }}import time
from collections.abc import Callable
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
from django.db import InterfaceError as DatabaseError
from django.db import connection
from django.test import Client, LiveServerTestCase, override_settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.runtime import context, errors
from {{ cookiecutter.package_name }}.runtime.django.models import (
    Job,
)
from {{ cookiecutter.package_name }}.runtime.django.service import (
    check_database,
)
from {{ cookiecutter.package_name }}.runtime.django.task import (
    JOB_HEADER,
)
from {{ cookiecutter.package_name }}.runtime.django.tasks import (
    clean_up,
)
{% if keeps_results %}
from {{ cookiecutter.package_name }}.runtime.tasks import followed
from {{ cookiecutter.package_name }}.runtime.tasks.followed import (
    SENT,
    NotCancelledError,
)
from {{ cookiecutter.package_name }}.runtime.tasks.progress import (
    PROGRESS,
    ProgressTask,
)
{% endif %}
from {{ cookiecutter.package_name }}.runtime.web.catalogue import (
    NoArguments,
)
from {{ cookiecutter.package_name }}.site import catalog
from {{ cookiecutter.package_name }}.tasks import heartbeat


{% if keeps_results %}
@app.task(name="tests.wait_for_a_sign")
def wait() -> bool:
    return GO.wait(20)


GO = threading.Event()


@app.task(base=ProgressTask, bind=True, name="tests.endless")
def endless(self: ProgressTask) -> None:
    for _ in range(1000):
        self.progress(1, 2)
        time.sleep(0.02)


{% endif %}
@app.task(name="tests.fail_a_job")
def fail() -> None:
    raise errors.PermanentError("on purpose")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


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
        content = json.loads(answer.read() or "{}")
        connection.close()
        return answer.status, content, answer.headers

    def submit(self) -> str:
        """Submit a heartbeat and return its place."""
        status, told, headers = self.call("POST", "/jobs/heartbeat")
        assert status == 202
        assert headers["Location"] == told["url"] == f"/jobs/{told['id']}"
        return headers["Location"]

    def test_a_wrong_token_is_refused(self) -> None:
        for method, path in (
            ("POST", "/jobs/heartbeat"),
            ("GET", f"/jobs/{uuid4()}"),
            ("POST", "/tasks"),
            ("GET", "/admin/queues"),
            ("DELETE", "/admin/dead-letters/7"),
        ):
            status, told, headers = self.call(method, path, token="wrong")  # noqa: S106
            assert (status, told["status"]) == (401, 401)
            assert headers["WWW-Authenticate"] == "Bearer"
            assert headers["Content-Type"] == "application/problem+json"
        assert not Job.objects.exists()

    def test_a_session_is_no_token(self) -> None:
        client = Client()
        client.force_login(User.objects.create_superuser("ada"))
        assert client.get("/admin/queues").status_code == 401
        assert client.get("/admin/").status_code == 200

    def test_the_token_of_clients_is_not_that_of_administrators(self) -> None:
        with override_settings(ADMIN_TOKEN="another"):  # noqa: S106
            assert self.call("GET", "/admin/queues")[0] == 401
            assert self.call("GET", "/admin/queues", token="another")[0] == 200  # noqa: S106
            assert self.call("GET", "/tasks", token="another")[0] == 401  # noqa: S106
        with override_settings(ADMIN_TOKEN=""):
            status, told, _ = self.call("GET", "/admin/queues")
            assert (status, told["detail"]) == (
                403,
                "nobody may call this, because the server has no token: set APP_ADMIN_TOKEN there",
            )

    def test_what_cannot_be_a_job_is_refused(self) -> None:
        for path, body, expected in (
            ("/jobs/celery-chord", {}, 404),
            ("/jobs/heartbeat", "no JSON", 422),
            ("/jobs/heartbeat", [], 422),
            ("/jobs/heartbeat", {"no": "argument"}, 422),
            ("/jobs/heartbeat", {"x": "y" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE}, 413),
            ("/tasks", "no JSON", 422),
            ("/tasks", {"task": "celery.chord"}, 422),
            ("/tasks", {"task": heartbeat.beat.name, "arguments": {"no": "argument"}}, 422),
            ("/tasks", {"task": heartbeat.beat.name, "priority": "high"}, 422),
            ("/tasks/bulk", {"tasks": []}, 422),
            ("/health/live", {}, 405),
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

    def test_a_database_that_is_away_is_told(self) -> None:
        with patch.object(Job.objects, "submit", side_effect=DatabaseError("away")):
            status, told, headers = self.call("POST", "/jobs/heartbeat")
        assert (status, told["detail"]) == (503, "the database does not answer: try again later")
        assert headers["Retry-After"]

    def test_a_client_sees_what_it_may_send(self) -> None:
        tasks = self.call("GET", "/tasks")[1]["tasks"]
        assert {task["task"] for task in tasks} == set(catalog.ALLOWED)
        assert set(catalog.JOBS.values()) == set(catalog.ALLOWED)

    def test_many_tasks_are_jobs_or_none_is(self) -> None:
        beat = {"task": heartbeat.beat.name, "priority": "low"}
        with patch.object(heartbeat.beat, "apply_async") as sent:
            wrong = {"tasks": [beat, {**beat, "arguments": {"x": 1}}]}
            status, told, _ = self.call("POST", "/tasks/bulk", wrong)
            assert (status, told["errors"][0]["field"]) == (422, "tasks.1.arguments.x")
            assert not sent.called
            status, told, _ = self.call("POST", "/tasks/bulk", {"tasks": [beat] * 3})
        jobs = {str(job.pk) for job in Job.objects.filter(name=heartbeat.beat.name)}
        assert (status, {task["id"] for task in told["tasks"]}) == (202, jobs)
        assert {call.kwargs["task_id"] for call in sent.call_args_list} == jobs

    @pytest.mark.usefixtures("worker")
    def test_administrators_see_workers_and_queues(self) -> None:
        told = self.call("GET", "/admin/queues")[1]
        assert {queue["name"] for queue in told["queues"]} == set(app.amqp.queues)
        assert self.call("GET", "/admin/workers")[1]["workers"]
        (known,) = self.call("GET", "/admin/registered")[1]["workers"].values()
        assert heartbeat.beat.name in known
        for path in ("active", "scheduled"):
            assert self.call("GET", f"/admin/{path}")[:2] == (200, {"tasks": []})
        assert self.call("GET", "/health/celery")[:2] == (200, {"status": "ok"})

    @pytest.mark.usefixtures("worker"{{ ', "redis"' if cookiecutter.__store }})
    def test_administrators_repair_dead_letters(self) -> None:
        with patch.dict(catalog.ALLOWED, {fail.name: NoArguments}):
            failed = self.call("POST", "/tasks", {"task": fail.name})[1]["id"]
        place = f"/admin/dead-letters/{failed}"
        wait_until(lambda: self.call("GET", place)[0] == 200)
        assert self.call("GET", place)[1]["text"] == "on purpose"
        (letter,) = self.call("GET", f"/admin/dead-letters?task={fail.name}&limit=9")[1]["letters"]
        assert (letter["id"], letter["replayed_as"]) == (failed, None)
        assert self.call("GET", "/admin/dead-letters?limit=no")[0] == 422
        status, told, _ = self.call("POST", f"{place}/replay")
        assert status == 202
        assert Job.objects.get(pk=told["id"]).name == fail.name
        assert self.call("POST", f"{place}/replay")[0] == 409
        again = f"/admin/dead-letters/{told['id']}"
        wait_until(lambda: self.call("GET", again)[0] == 200)
        for one in (place, again):
            assert self.call("DELETE", one)[0] == 204
            assert self.call("DELETE", one)[0] == 404

    def test_the_request_id_comes_back(self) -> None:
        answer = Client().get("/health/live", headers={"X-Request-ID": "abc-1"})
        assert answer["X-Request-ID"] == "abc-1"
        answer = Client().get("/health/live", headers={"X-Request-ID": "not valid"})
        assert context.is_valid(answer["X-Request-ID"])

    def test_health(self) -> None:
        for path in ("live", "ready"):
            assert self.call("GET", f"/health/{path}")[:2] == (200, {"status": "ok"})
        with patch.object(app, "connection_for_write", side_effect=OSError("away")):
            status, told, _ = self.call("GET", "/health/ready")
        assert status == 503
        assert told["detail"] == "these servers do not answer: broker: try again later"
        away = patch.object(connection, "cursor", side_effect=DatabaseError("away"))
        with away, pytest.raises(ConnectionError, match="away"):
            check_database()

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
        GO.clear()
        with patch.dict(catalog.ALLOWED, {wait.name: NoArguments}):
            place = self.call("POST", "/tasks", {"task": wait.name})[2]["Location"]
        try:
            wait_until(lambda: self.call("GET", place)[1]["state"] == states.STARTED)
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
{% else %}
    def test_a_job_can_be_cancelled(self) -> None:
        place = self.waiting()
        assert self.call("GET", place)[1]["cancelled_at"] is None
        assert self.call("DELETE", place)[0] == 202
        assert self.call("GET", place)[1]["cancelled_at"]

    def test_nobody_knows_how_a_task_is(self) -> None:
        assert Client().get(f"/tasks/{uuid4()}").status_code == 404

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
