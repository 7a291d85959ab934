"""The live page of Django: who may use it, and that no other site can."""

import re
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings

from my_celery_project.runtime.django.models import Job
from my_celery_project.runtime.django.responses import (
    PERMISSIONS,
)
from my_celery_project.runtime.web import pages
from my_celery_project.tasks import heartbeat

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def unsent() -> Iterator[None]:
    """Send nothing to a broker."""
    with patch.object(heartbeat.beat, "apply_async"):
        yield


@pytest.fixture
def user(django_user_model: type[User]) -> User:
    """Return a user with just the permissions that the page needs."""
    user = django_user_model.objects.create_user("ada", is_staff=True)
    names = [name.partition(".")[2] for name in PERMISSIONS]
    user.user_permissions.set(found := Permission.objects.filter(codename__in=names))
    assert len(found) == len(PERMISSIONS)
    return user


@pytest.fixture
def browser() -> Client:
    """Return a client that is checked for forged requests, as a browser is."""
    return Client(enforce_csrf_checks=True)


def send(browser: Client, token: str = "") -> int:
    """Send a task as the page does, and return the status of the answer."""
    headers = {"X-CSRFToken": token} if token else {}
    body = {"task": heartbeat.beat.name}
    answer = browser.post("/tasks", body, content_type="application/json", headers=headers)
    return answer.status_code


def opened(browser: Client) -> str:
    """Open the page, and return the token against forgery that is in it."""
    answer = browser.get("/live")
    assert answer.status_code == 200
    found = re.search(r'data-csrf-token="(\w+)"', answer.content.decode())
    assert found
    return found[1]


def test_the_page_loads_only_what_this_server_has(browser: Client) -> None:
    with override_settings(DEBUG=True):
        answer = browser.get("/live")
    assert answer["Content-Security-Policy"] == pages.POLICY
    text = answer.content.decode()
    assert "$" not in text
    assets = re.findall(r'(?:src|href)="(/[^"]+)"', text)
    assert {asset.rpartition("/")[2] for asset in assets} == {"icon.svg", "live.css", "live.js"}
    for asset in assets:
        file = browser.get(asset)
        assert file.status_code == 200, asset
        assert b"".join(file) == (pages.FOLDER / asset.rpartition("/")[2]).read_bytes()


@override_settings(DEBUG=True)
def test_a_developer_needs_no_user(browser: Client) -> None:
    assert send(browser) == 401
    assert browser.get("/tasks").status_code == 401
    token = opened(browser)
    assert browser.get("/tasks").status_code == 200
    assert send(browser, token) == 202
    task = f"/tasks/{Job.objects.get().pk}"
    assert browser.get(task).status_code == 200
    assert browser.delete(task, headers={"X-CSRFToken": token}).json()["state"] == "REVOKED"
    assert "/live" in browser.get("/").content.decode()


@override_settings(DEBUG=True)
def test_no_other_site_can_forge_a_request(browser: Client) -> None:
    token = opened(browser)
    for wrong in ("", "x" * len(token)):
        assert send(browser, wrong) == 403
    elsewhere = {"X-CSRFToken": token, "Origin": "http://elsewhere.example"}
    answer = browser.post(
        "/tasks", {"task": heartbeat.beat.name}, "application/json", headers=elsewhere
    )
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json")
    assert answer.json()["detail"] == "this page is out of date: load it again"
    assert not Job.objects.exists()


def test_on_a_server_it_needs_permissions(browser: Client, user: User) -> None:
    answer = browser.get("/live")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/live")
    browser.force_login(user)
    assert browser.get("/tasks").status_code == 401  # which the page has not asked for
    assert send(browser, opened(browser)) == 202
    assert browser.get("/admin/queues").status_code == 401
    for wrong in ("Bearer wrong", ""):
        assert browser.get("/tasks", headers={"Authorization": wrong}).status_code == 401
    user.user_permissions.clear()
    assert browser.get("/tasks").status_code == 401
    assert browser.get("/live").status_code == 403
    browser.logout()
    assert browser.get("/tasks").status_code == 401
