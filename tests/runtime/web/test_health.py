import httpx
import pytest
from kombu.exceptions import OperationalError

from my_celery_project.celery import app
from my_celery_project.runtime.web import servers


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget whether workers have answered."""
    monkeypatch.setattr(servers, "workers", servers.Workers())


def away(_: object) -> None:
    raise OperationalError("away")


def test_it_is_alive_and_ready(web: httpx.Client) -> None:
    assert web.get("/health/live").json() == {"status": "ok"}
    told = web.get("/health/ready").json()
    assert told["status"] == "ok"
    assert "broker" in {server["name"] for server in told["servers"]}
    assert all(0 <= server["seconds"] < 60 for server in told["servers"])


def test_it_lives_but_is_not_ready_without_a_broker(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "check_broker", away)
    answer = web.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("these servers do not answer: broker")
    assert web.get("/health/live").status_code == 200


def test_a_worker_is_seen(web: httpx.Client, worker: None) -> None:
    told = web.get("/health/celery").json()
    assert told["status"] == "ok"
    queues = {queue["name"]: queue for queue in told["queues"]}
    assert queues.keys() == set(app.amqp.queues)
    assert queues["default"] == {"name": "default", "workers": 1, "messages": 0}


def test_workers_are_not_asked_for_every_request(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[None] = []

    def ask(*_: object) -> None:
        questions.append(None)

    monkeypatch.setattr(servers.Workers, "ask", ask)
    answers = [web.get("/health/celery") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503] * 3
    assert len(questions) == 1
