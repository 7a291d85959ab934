"""Fixtures for all tests; most are those of `runtime/testing`."""

from pathlib import Path

import pytest

from {{ cookiecutter.package_name }}.runtime import testing

testing.clean_environment()  # before anything imports the app
{% if cookiecutter.__django %}

from {{ cookiecutter.package_name }}.runtime.django.testing import (  # noqa: E402
    set_up,
)

set_up("{{ cookiecutter.package_name }}.site.settings")
{% endif %}

pytest_plugins = [f"{testing.__name__}.plugin"]

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def project() -> testing.Project:
    """Return what the fixtures have to know about this project."""
    from {{ cookiecutter.package_name }} import celery, config
    from {{ cookiecutter.package_name }}.runtime.{{ cookiecutter.broker }}.testing import (
        {{ cookiecutter._brokers[cookiecutter.broker].name }}Server,
    )
{% if cookiecutter.broker != "redis" and cookiecutter.result_backend == "redis" %}
    from {{ cookiecutter.package_name }}.runtime.redis.testing import (
        RedisServer,
    )
{% endif %}
{% if cookiecutter.__api %}
    from {{ cookiecutter.package_name }}.web import app
{% endif %}

    return testing.Project(
        app=celery.app,
        create_app=celery.create_app,
        settings=config.Base,
        root=ROOT,
        servers={
            "broker_url": {{ cookiecutter._brokers[cookiecutter.broker].name }}Server,
{% if cookiecutter.result_backend == "redis" %}
            "result_backend": RedisServer,
{% endif %}
        },
{% if cookiecutter.__sql %}
        prepare=[["-m", "alembic", "--config", str(ROOT / "pyproject.toml"), "upgrade", "heads"]],
{% elif cookiecutter.__django %}
        prepare=[[str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]],
{% endif %}
{% if cookiecutter.__api %}
        web=app.create_app,
{% endif %}
    )
