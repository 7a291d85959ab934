"""The Celery app: the option `-A` with the name of this package finds it here."""

{% if cookiecutter.__django %}
import os

{% endif %}
from celery import Celery
{% if cookiecutter.beat != "none" %}
from celery.signals import beat_init
{% endif %}

from . import config, queues
from .runtime import context
{% if cookiecutter.beat != "none" %}
from .runtime.beat.ticks import mark_what_is_sent, stop_after_a_tick, touch_at_each_tick
{% endif %}
{% if cookiecutter.broker == "rabbitmq" %}
from .runtime.rabbitmq import topology
{% endif %}
{% if cookiecutter.__store %}
from .runtime.redis import {{ "lease, store, tenants" if cookiecutter.broker == "redis" else "store" }}
{% endif %}
from .runtime.tasks.base import BaseTask
from .runtime.worker import checks, liveness
{% if cookiecutter.beat not in ("none", "database") %}
from .schedule import SCHEDULE
{% endif %}

#: Every module with tasks. A task in a module that is not listed does not exist for the worker.
TASK_MODULES = [
    f"{__package__}.tasks.heartbeat",
{% if cookiecutter.__sql %}
    f"{__package__}.tasks.outbox",
{% endif %}
{% include "examples/" ~ cookiecutter.examples ~ "/modules.py" ignore missing %}
]
{% if cookiecutter.__django %}

# Celery sees it and calls `django.setup()` before it imports a task; around each task it closes the
# connections of the task's thread (celery/fixups/django.py).
os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"{__package__}.site.settings")
{% endif %}


def create_app(settings: config.Base | None = None) -> Celery:
    """Return a Celery app.

    Args:
        settings: The configuration; without it, the one that `APP_ENV` names.

    Raises:
        ConfigurationError: The environment holds a wrong or unknown setting.
    """
    app: Celery = {{ cookiecutter._brokers[cookiecutter.broker].app }}(
        __package__,
        include=TASK_MODULES,
        set_as_current=settings is None,
        amqp=context.AMQP,
        task_cls=BaseTask,  # of every task that names no other, Celery's own included
    )
    if settings is None:
        app.set_default()  # of every thread; `set_as_current` is for that of this call
        settings = config.load()
    app.settings = settings  # type: ignore[attr-defined]
    app.conf.update(settings.for_celery())
{% if cookiecutter.__store %}
    store.check(app.conf)
{% endif %}
    app.conf.update(
        task_queues=queues.QUEUES,
        task_routes={{ cookiecutter._brokers[cookiecutter.broker].routes }},
{% if cookiecutter.beat not in ("none", "database") %}
        beat_schedule=SCHEDULE,
{% endif %}
    )
{% if cookiecutter.__django %}
    app.autodiscover_tasks()  # the module `tasks` of every app in INSTALLED_APPS
{% endif %}
    context.extend_log_records()
{% if cookiecutter.beat != "none" %}
    beat_init.connect(stop_after_a_tick)
    beat_init.connect(touch_at_each_tick)
    beat_init.connect(mark_what_is_sent)
{% endif %}
    app.steps["worker"].add(checks.StartupChecks)
    app.steps["worker"].add(liveness.Heartbeat)
    app.steps["consumer"].add(checks.HandedOver)
    app.steps["consumer"].add(checks.PromptAcknowledgement)
    app.steps["consumer"].add(f"{__package__}.runtime.worker.request:UnreadableMessages")
    app.steps["consumer"].add({{ cookiecutter._brokers[cookiecutter.broker].step }})
    return app


app = create_app()
