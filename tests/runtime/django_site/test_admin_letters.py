"""Dead letters in the admin: pages that read little, filters, permissions, replay and discard."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from my_celery_project.celery import app
from my_celery_project.runtime.django.admin import (
    dead_letters,
)
from my_celery_project.runtime.django.models import Job
from my_celery_project.runtime.django.task import JOB_HEADER
from my_celery_project.runtime.letters import letter as letters
from my_celery_project.runtime.letters import store
from my_celery_project.tasks import heartbeat

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("empty_folder", "store"),
]

LIST = "/admin/jobs/deadletter/"
HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e\0"


def keep(letter_id: str, **fields: Any) -> letters.DeadLetter:
    """Store a dead letter."""
    usual: dict[str, Any] = {
        "task": heartbeat.beat.name,
        "reason": letters.Reason.FAILED,
        "queue": "default",
        "args": [],
        "error": "OSError",
        "text": "no space left",
    }
    letter = letters.DeadLetter(letter_id, **{**usual, **fields})
    store.store_of(app).add(letter)
    return letter


def kept(letter_id: str) -> letters.DeadLetter | None:
    """Return a dead letter, if it is there."""
    with store.store_of(app).open() as opened:
        return opened.get(letter_id)


def page(letter_id: str) -> str:
    """Return the path of the page of a dead letter."""
    return reverse("admin:jobs_deadletter_change", args=[quote(letter_id)])


def shown(answer: Any) -> list[str]:
    """Return the ids that a list shows."""
    return [row["id"] for row in answer.context["page"].rows]


def told(answer: Any) -> list[str]:
    """Return what the user was told."""
    return [str(message) for message in answer.context["messages"]]


def act(client: Client, action: str, *ids: str, **more: str) -> Any:
    """Do something to dead letters in the list."""
    return client.post(LIST, {"action": action, "_selected_action": ids, **more}, follow=True)


@pytest.fixture
def as_user(client: Client) -> Callable[..., Client]:
    """Return a function that logs somebody in who has only some permissions."""

    def log_in(*permissions: str) -> Client:
        user = User.objects.create_user(str(uuid4()), is_staff=True)
        for name in permissions:
            user.user_permissions.add(Permission.objects.get(codename=name))
        client.force_login(user)
        return client

    return log_in


def test_none_is_good_news(admin_client: Client) -> None:
    assert "No task has failed for good." in admin_client.get(LIST).text
    assert "No dead letter matches" in admin_client.get(LIST, {"task": "x"}).text


def test_filters(admin_client: Client) -> None:
    keep("1", failed_at="2026-01-01T00:00:00.000000+00:00")
    keep("2", task="orders.ship", error="KeyError", failed_at="2026-01-02T00:00:00.000000+00:00")
    keep("3", reason=letters.Reason.TIME_LIMIT, failed_at="2026-01-03T00:00:00.000000+00:00")
    act(admin_client, "replay", "1")
    for query, expected in (
        ({}, ["3", "2", "1"]),
        ({"task": "ship"}, ["2"]),
        ({"task": "ship*"}, []),
        ({"error": "Key"}, ["2"]),
        ({"reason": "time limit"}, ["3"]),
        ({"replayed": "yes"}, ["1"]),
        ({"replayed": "no", "error": "OSError"}, ["3"]),
    ):
        assert shown(admin_client.get(LIST, query)) == expected, query
    for wrong in ({"reason": "none"}, {"start": "-1"}, {"start": "x"}):
        assert admin_client.get(LIST, wrong).status_code == 302


def test_a_page_reads_no_more_than_it_needs(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "PAGE", 3)
    monkeypatch.setattr(dead_letters, "SEARCHED", 5)
    read: list[int] = []

    def many() -> Iterator[letters.DeadLetter]:
        for number in range(12):
            read.append(number)
            yield letters.DeadLetter(str(number), "odd" if number % 2 else "even", "failed")

    def pages(**fields: Any) -> list[list[str]]:
        """Turn all pages, and return the ids on each."""
        found, start = [], 0
        while True:
            read.clear()
            one = dead_letters.page_of(many(), store.Filter(**fields), start)  # type: ignore[arg-type]
            assert len(read) <= start + 6
            found.append([row["id"] for row in one.rows])
            if one.next_start is None:
                return found
            start = one.next_start

    assert pages() == [["0", "1", "2"], ["3", "4", "5"], ["6", "7", "8"], ["9", "10", "11"]]
    assert pages(task="odd") == [["1", "3"], ["5", "7", "9"], ["11"]]
    assert pages(task="none") == [[], [], []]
    for number in range(5):
        keep(str(number), failed_at=f"2026-01-0{9 - number}T00:00:00.000000+00:00")
    first = admin_client.get(LIST)
    assert shown(first) == ["0", "1", "2"]
    second = admin_client.get(LIST + first.context["next_page"])
    assert shown(second) == ["3", "4"]
    assert ("Older" in first.text, "Older" in second.text, "Newest" in second.text) == (
        True,
        False,
        True,
    )


def test_one_is_shown_with_all_that_is_known(admin_client: Client) -> None:
    keep("7", kwargs={"due": "today"}, traceback="Traceback:\n  File x", worker="io@here")
    text = admin_client.get(page("7")).text
    for part in ("OSError: no space left", "due", "Traceback:\n  File x", "io@here", "Not yet."):
        assert part in text
    keep("8", args=None, body="eyd9", reason=letters.Reason.UNREADABLE)
    text = admin_client.get(page("8")).text
    assert "cannot be replayed" in text
    assert "eyd9" in text
    assert 'name="_replay"' not in text
    answer = admin_client.get(page("9"), follow=True)
    assert told(answer) == ["There is no dead letter 9."]


def test_hostile_text_is_harmless(admin_client: Client) -> None:
    letter_id = f"../{HOSTILE}"
    keep(
        letter_id,
        task=HOSTILE,
        error=HOSTILE,
        text=HOSTILE,
        kwargs={HOSTILE: HOSTILE},
        headers={HOSTILE: HOSTILE},
        traceback=HOSTILE,
        queue=HOSTILE,
        worker=HOSTILE,
        history=[{"at": letters.now(), "by": HOSTILE, "as_id": HOSTILE}],
    )
    first = admin_client.get(LIST)
    (row,) = first.context["page"].rows
    for answer in (first, admin_client.get(row["url"]), act(admin_client, "discard", letter_id)):
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        if answer is not first:
            assert "alert(1)" in answer.text
    assert "\x1b" not in admin_client.get(row["url"]).text
    done = act(admin_client, "discard", letter_id, confirmed="yes")
    (said,) = told(done)
    assert said.isprintable()
    assert "\0" not in str(LogEntry.objects.get().object_id)


def test_a_replay_is_a_new_task_once(admin_client: Client) -> None:
    keep("7")
    answer = admin_client.post(page("7"), {"_replay": "Replay"}, follow=True)
    letter = kept("7")
    assert letter
    (replay,) = letter.history
    assert replay["by"] == "admin in the admin"
    assert told(answer) == [f"Dead letter 7: its task was sent again as {replay['as_id']}."]
    assert replay["as_id"] in answer.content.decode()
    (refused,) = told(act(admin_client, "replay", "7"))
    assert "was replayed at" in refused
    assert [str(entry.change_message) for entry in LogEntry.objects.all()] == [
        f"Replayed as {replay['as_id']}."
    ]


def test_a_replay_of_a_job_is_a_job(admin_client: Client) -> None:
    keep("7", headers={JOB_HEADER: "7"}, kwargs={})
    act(admin_client, "replay", "7")
    job = Job.objects.get()
    assert (job.task, job.kwargs) == (heartbeat.beat.name, {})


def test_several_are_discarded_after_a_confirmation(admin_client: Client) -> None:
    for name in "123":
        keep(name)
    asked = act(admin_client, "discard", "1", "2")
    assert "Are you sure?" in asked.text
    assert kept("1")
    done = act(admin_client, "discard", "1", "2", "4", confirmed="yes")
    assert told(done) == [
        "Dead letter 1 was discarded.",
        "Dead letter 2 was discarded.",
        "Dead letter 4: it is not there any more",
    ]
    assert [kept(name) is None for name in "123"] == [True, True, False]
    assert told(act(admin_client, "discard")) == ["Select an action, and dead letters for it."]


def test_each_action_has_a_permission(as_user: Callable[..., Client]) -> None:
    keep("7")
    client = as_user()
    assert [client.get(path).status_code for path in (LIST, page("7"))] == [403, 403]
    client = as_user("view_deadletter")
    text = client.get(LIST).text + client.get(page("7")).text
    assert ("Replay selected" in text, 'name="_discard"' in text) == (False, False)
    for action in ("replay", "discard", "delete_selected"):
        assert act(client, action, "7", confirmed="yes").status_code == 403
    client = as_user("view_deadletter", "discard_deadletter")
    assert "Replay selected" not in client.get(LIST).text
    assert act(client, "replay", "7").status_code == 403
    letter = kept("7")
    assert letter
    assert letter.history == []
    assert told(act(client, "discard", "7", confirmed="yes")) == ["Dead letter 7 was discarded."]


def test_a_stranger_has_to_log_in(client: Client) -> None:
    for path in (LIST, page("7")):
        assert client.get(path).headers["Location"].startswith("/admin/login/")
        assert client.post(path).headers["Location"].startswith("/admin/login/")


def test_a_form_of_another_site_is_refused(admin_user: User) -> None:
    keep("7")
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert act(client, "discard", "7", confirmed="yes").status_code == 403
    assert client.post(page("7"), {"_replay": "Replay"}).status_code == 403
    assert kept("7")


def test_a_store_that_is_away_is_told(admin_client: Client) -> None:
    with patch.object(app, "connection_for_write", side_effect=OSError("away")):
        for answer in (
            admin_client.get(LIST),
            admin_client.get(page("7"), follow=True),
            act(admin_client, "replay", "7"),
        ):
            assert answer.status_code == 200
            assert "cannot be read: away" in told(answer)[0]


def test_dumpdata_looks_for_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("dumpdata", "jobs", "--all")
    assert capsys.readouterr().out.strip() == "[]"
