"""Jobs in the admin: what is known about them, and actions that say what came of them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from celery import states
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone
from host import KEEPS_RESULTS

from my_celery_project.celery import app
from my_celery_project.runtime.django import service
from my_celery_project.runtime.django.admin.shown import lasting
from my_celery_project.runtime.django.models import Job
from my_celery_project.runtime.testing.servers import wait_until
from my_celery_project.tasks import heartbeat

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/jobs/job/"


def make(**fields: Any) -> Job:
    """Create a job that no worker gets."""
    with patch.object(heartbeat.beat, "apply_async"):
        job = Job.objects.submit(heartbeat.beat.name, heartbeat.beat, {})
    Job.objects.filter(pk=job.pk).update(**{"requested_at": timezone.now(), **fields})
    job.refresh_from_db()
    return job


def page(job: Job) -> str:
    """Return the path of the page of a job."""
    return f"{LIST}{job.pk}/change/"


def act(client: Client, action: str, *jobs: Job) -> list[str]:
    """Do something to jobs in the list, and return what the user was told."""
    ids = [str(job.pk) for job in jobs]
    answer: Any = client.post(LIST, {"action": action, "_selected_action": ids}, follow=True)
    return [str(message) for message in answer.context["messages"]]


@pytest.mark.usefixtures("worker")
def test_a_job_that_has_run_is_shown_with_all_that_is_known(admin_client: Client) -> None:
    job = Job.objects.submit("the heartbeat", heartbeat.beat, {})
    wait_until(lambda: service.JobService.in_use.seen(job).is_over or not KEEPS_RESULTS)
    wait_until(lambda: Job.objects.get().started_at is not None)
    for path in (LIST, page(job)):
        text = admin_client.get(path).text
        assert "the heartbeat" in text
        assert ("succeeded" if KEEPS_RESULTS else "started") in text
        assert (" ms" in text) == KEEPS_RESULTS
    assert 'name="_run_again"' in text
    assert 'name="_cancel"' not in text


@pytest.mark.skipif(not KEEPS_RESULTS, reason="this project keeps no results")
def test_every_state_is_shown(admin_client: Client) -> None:
    started = timezone.now() - timedelta(minutes=3)
    waiting, running = make(name="waiting one"), make(started_at=started)
    app.backend.store_result(str(running.pk), {"percent": 40, "message": "<b>"}, "PROGRESS")
    failed = make(started_at=started)
    app.backend.mark_as_failure(str(failed.pk), ValueError("too bad"))
    old, stopped = make(started_at=started), make(cancelled_at=started)
    taken = make(cancelled_at=started)  # a worker is about to drop its message
    app.backend.store_result(str(taken.pk), {}, states.STARTED)
    ending = make(started_at=started, cancelled_at=started)
    app.backend.store_result(str(ending.pk), {"percent": 40}, "PROGRESS")
    expected = {
        waiting: ("waiting",),
        running: ("running", '<progress max="100" value="40">', "40 % &lt;b&gt;", "3 min"),
        failed: ("failed", "ValueError: too bad", "Dead letter"),
        old: ("its result has expired",),
        stopped: ("cancelled",),
        taken: ("cancelled",),
        ending: ("running, to be cancelled",),
    }
    text = admin_client.get(LIST).text
    for job, parts in expected.items():
        alone = admin_client.get(page(job)).text
        for part in parts:
            assert part in alone, job
            assert part in text or part == "Dead letter", job
    assert 'name="_run_again"' not in admin_client.get(page(waiting)).text
    assert 'name="_cancel"' in admin_client.get(page(waiting)).text


def test_a_job_is_found_by_its_name_or_id(admin_client: Client) -> None:
    one, other = make(name="one"), make(name="other")
    for text, expected in (("one", [one]), (str(other.pk), [other]), (str(uuid4()), [])):
        found = admin_client.get(LIST, {"q": text}).context["cl"].result_list
        assert list(found) == expected


def test_a_result_store_that_is_away_is_told(admin_client: Client) -> None:
    job = make()
    with patch.object(service.JobService.in_use, "seen", side_effect=OSError("away")):
        for path in (LIST, page(job)):
            answer = admin_client.get(path)
            assert answer.status_code == 200
            (message,) = answer.context["messages"]
            assert "does not answer" in str(message)
            assert "unknown" in answer.text


def test_cancelling_says_what_came_of_each(admin_client: Client) -> None:
    waiting, started = make(), make(started_at=timezone.now())
    if KEEPS_RESULTS:
        app.backend.mark_as_done(str(started.pk), 7)
        second = f"Job {started}: the task has ended already: SUCCESS"
    else:
        second = f"Job {started}: it has started already, and goes on."
    said = act(admin_client, "cancel", waiting, started)
    assert sorted(said) == sorted([f"Job {waiting} was cancelled.", second])
    waiting.refresh_from_db()
    assert waiting.cancelled_at
    assert LogEntry.objects.filter(object_id=waiting.pk).exists()


@pytest.mark.skipif(not KEEPS_RESULTS, reason="this project keeps no results")
def test_a_server_that_is_away_ends_an_action(admin_client: Client) -> None:
    jobs = [make(started_at=timezone.now()) for _ in range(3)]
    for job in jobs:
        app.backend.store_result(str(job.pk), {}, states.STARTED)
    with patch.object(app, "connection_for_write", side_effect=OSError("away")):
        (said,) = act(admin_client, "cancel", *jobs)
    assert said.endswith("a server does not answer, so try again later")
    assert not Job.objects.exclude(cancelled_at=None).exists()


def test_a_job_runs_again_as_a_new_job(admin_client: Client) -> None:
    waiting, over = make(), make(cancelled_at=timezone.now())
    old = make(cancelled_at=timezone.now(), arguments=None)
    gone = make(cancelled_at=timezone.now(), task="no.such")
    with patch.object(heartbeat.beat, "apply_async") as sent:
        said = act(admin_client, "run_again", waiting, over, old, gone)
    assert sent.call_count == 1
    again = Job.objects.exclude(pk__in=[job.pk for job in (waiting, over, old, gone)]).get()
    assert sorted(said) == sorted(
        [
            f"Job {over}: it was sent again as {again.pk}.",
            f"Job {waiting}: it is not over yet",
            f"Job {old}: its arguments are not known",
            f"Job {gone}: there is no task 'no.such' any more",
        ]
    )
    with patch.object(heartbeat.beat, "apply_async") as sent:
        admin_client.post(page(over), {"_run_again": "Run again"})
    assert sent.call_count == 1


def test_each_action_has_a_permission(client: Client) -> None:
    job = make()

    def log_in(*permissions: str) -> None:
        user = User.objects.create_user(str(uuid4()), is_staff=True)
        for name in permissions:
            user.user_permissions.add(Permission.objects.get(codename=name))
        client.force_login(user)

    log_in()
    assert [client.get(path).status_code for path in (LIST, page(job))] == [403, 403]
    log_in("view_job")
    text = client.get(LIST).text + client.get(page(job)).text
    assert ("Cancel" in text, "again" in text) == (False, False)
    act(client, "cancel", job)
    assert client.post(page(job), {"_cancel": "Cancel the task"}).status_code == 403
    job.refresh_from_db()
    assert job.cancelled_at is None
    log_in("view_job", "cancel_job")
    assert act(client, "cancel", job) == [f"Job {job} was cancelled."]
    assert client.post(page(job), {"_run_again": "Run again"}).status_code == 403


def test_a_site_without_a_service_is_told(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    monkeypatch.delattr(service.JobService, "in_use")
    with pytest.raises(ImproperlyConfigured, match="the site has none"):
        admin_client.get(LIST)


def test_arguments_keep_their_types() -> None:
    day = timezone.now()
    with patch.object(heartbeat.beat, "apply_async"):
        job = Job.objects.submit("x", heartbeat.beat, {"day": day})
    job.refresh_from_db()
    assert job.kwargs == {"day": day}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0512, "51 ms"), (5.25, "5.2 s"), (187, "3 min 7 s"), (7265, "2 h 1 min")],
)
def test_a_duration_is_short(seconds: float, text: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == text


def test_the_first_page(client: Client, settings: Callable[..., Any]) -> None:
    answer = client.get("/")
    assert answer.headers["Location"] == "/admin/"
    settings.DEBUG = True  # type: ignore[attr-defined]
    text = client.get("/").text
    for part in (
        heartbeat.beat.name,
        "/admin/",
        "/health/ready",
        "http://testserver/tasks",
        app.main,
    ):
        assert part in text
