"""The Celery app: the option `-A` with the name of this package finds it here."""

{% if cookiecutter.__django %}
import os

{% endif %}
from . import config, queues
from .runtime.app import App, create
{% if cookiecutter.beat != "none" %}
from .runtime.beat.part import Beat
{% endif %}
{% if cookiecutter.__django %}
from .runtime.django.part import Django
{% endif %}
{% if cookiecutter.__store %}
from .runtime.redis.state import RedisState
{% endif %}
{% if cookiecutter.__letters == "sql" %}
from .runtime.sql.dead_letters import DeadLettersInTable
{% endif %}
{% if cookiecutter.__sql %}
from .runtime.sql.part import Database
{% endif %}
{% if cookiecutter.__followed %}
from .runtime.tasks.followed import Followed
{% endif %}
{% if cookiecutter.beat != "none" %}
from .schedule import SCHEDULE
{% endif %}
{% if cookiecutter.__django %}

# Celery sees it and calls `django.setup()` before it imports a task; around each task it closes the
# connections of the task's thread (celery/fixups/django.py).
os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"{__package__}.site.settings")
{% endif %}


def create_app(settings: config.Base | None = None) -> App:
    """Return a Celery app.

    Args:
        settings: The configuration; without it, the one that `APP_ENV` names.

    Raises:
        ConfigurationError: The environment holds a wrong or unknown setting.
    """
    return create(
        __package__,
        settings or config.load(),
        queues=queues.QUEUES,
        routes=queues.ROUTES,
        tasks=[f"{__package__}.tasks"],
        parts=[{{ [cookiecutter.beat != "none" and "Beat(SCHEDULE)", cookiecutter.__sql and "Database()", cookiecutter.__letters == "sql" and "DeadLettersInTable()", cookiecutter.__store and "RedisState()", cookiecutter.__followed and "Followed()", cookiecutter.__django and "Django()"] | select | join(", ") }}],
        set_as_current=settings is None,
    )


app = create_app()
