"""Tasks over HTTP, which are jobs: a real server, a real worker, real transactions."""

from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

import api
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import InterfaceError as DatabaseError
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from my_celery_project.celery import app
from my_celery_project.runtime import context, errors
from my_celery_project.runtime.django.models import (
    Job,
)
from my_celery_project.runtime.django.service import (
    check_database,
)
from my_celery_project.runtime.django.tasks import (
    clean_up,
)
from my_celery_project.runtime.testing.servers import wait_until
from my_celery_project.runtime.web.catalogue import (
    NoArguments,
)
from my_celery_project.site import catalog
from my_celery_project.tasks import heartbeat


@app.task(name="tests.fail_a_job")
def fail() -> None:
    raise errors.PermanentError("on purpose")


class TestJobs(api.Api):
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
        status, told, _ = self.call("GET", "/health/celery")
        assert (status, told["status"]) == (200, "ok")
        assert {queue["name"] for queue in told["queues"]} == set(app.amqp.queues)

    @pytest.mark.usefixtures("worker", "store")
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
        assert self.call("GET", "/health/live")[:2] == (200, {"status": "ok"})
        status, told, _ = self.call("GET", "/health/ready")
        assert status == 200
        assert {"broker", "database"} <= {server["name"] for server in told["servers"]}
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


@pytest.mark.django_db
def test_expired_sessions_are_deleted(client: Client, django_user_model: type[User]) -> None:
    client.force_login(django_user_model.objects.create_user("ada"))
    clean_up()
    assert Session.objects.count() == 1
    Session.objects.update(expire_date=timezone.now() - timedelta(days=1))
    clean_up()
    assert Session.objects.count() == 0
