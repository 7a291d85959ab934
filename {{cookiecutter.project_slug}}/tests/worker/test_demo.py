import time
from collections import Counter

import pytest

from {{ cookiecutter.package_name }} import demo
from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.settings import settings


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "ROWS", 300)
    settings.cache_clear()


def test_the_demo_shows_every_example(
    worker: None,
    ended: Counter[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, "has_worker", lambda: True)
    assert demo.main()
    shown = capsys.readouterr().out
    assert "Idempotency-Key" in shown
    assert ".celery/artifacts/reports/" in shown
    assert max(map(len, shown.splitlines())) < 80
{% if cookiecutter._keeps_results[cookiecutter.result_backend] %}
    assert shown.count("succeeded") == 9
{% endif %}
    # Nine tasks, and the two of the bulk mail: a mail of theirs must not reach the next test.
    deadline = time.monotonic() + 30
    while ended.total() < 11:
        assert time.monotonic() < deadline, ended
        time.sleep(0.01)


def test_without_a_worker_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app.control, "ping", lambda **_: [])
    assert not demo.main()
    assert "run make dev" in capsys.readouterr().out


def test_stopping_the_demo_revokes_what_it_has_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    revoked: list[str] = []
    monkeypatch.setattr(app.control, "revoke", revoked.extend)
    monkeypatch.setattr(demo, "has_worker", lambda: True)

    def interrupted(url: str, sent: demo.Sent) -> None:
        call = demo.calls("demo/sales.csv", url)[0]
        sent[call.task] = call, app.AsyncResult("an-id")
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "send", interrupted)
    assert not demo.main()
    assert revoked == ["an-id"]
    assert "Stopped" in capsys.readouterr().out
