{% from "parts.jinja" import parts with context %}
"""The Celery app, which `celery -A` finds here by the name of this package."""

{% if cookiecutter.__django %}
import os

{% endif %}
from . import config, queues
from .runtime.app import App, create
{% for module, name, _ in parts %}
from .runtime.{{ module }} import {{ name }}
{% endfor %}
{% if cookiecutter.beat != "none" %}
from .schedule import SCHEDULE
{% endif %}
{% if cookiecutter.__django %}

# If this is set, Celery calls `django.setup()` before it imports a task, and closes the connections
# of a task's thread before and after the task (celery/fixups/django.py).
os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"{__package__}.site.settings")
{% endif %}


def create_app(settings: config.Base | None = None) -> App:
    """Return a Celery app.

    Args:
        settings: The configuration; by default, the one that `APP_ENV` names.

    Raises:
        ConfigurationError: The environment holds a wrong or unknown setting.
    """
    return create(
        __package__,
        settings or config.load(),
        queues=queues.QUEUES,
        routes=queues.ROUTES,
        tasks=[f"{__package__}.tasks"],
        parts=[{% for _, name, argument in parts %}{{ name }}({{ argument }}){{ "" if loop.last else ", " }}{% endfor %}],
        set_as_current=settings is None,
    )


app = create_app()
