from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.cli import demo
from {{ cookiecutter.package_name }}.settings import settings


def test_the_demo_shows_every_example(worker: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "ROWS", 300)
    settings.cache_clear()
    result = CliRunner().invoke(demo.demo, obj=SimpleNamespace(app=app), input="\n")
    assert result.exit_code == 0, result.output
    assert "Idempotency-Key" in result.output
{% if cookiecutter._keeps_results[cookiecutter.result_backend] %}
    assert result.output.count("SUCCESS") == 9
{% endif %}
