import pytest

from {{ cookiecutter.package_name }} import demo
from {{ cookiecutter.package_name }}.settings import settings


def test_the_demo_shows_every_example(
    worker: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "ROWS", 300)
    settings.cache_clear()
    assert demo.main()
    shown = capsys.readouterr().out
    assert "Idempotency-Key" in shown
{% if cookiecutter._keeps_results[cookiecutter.result_backend] %}
    assert shown.count("SUCCESS") == 9
{% endif %}
