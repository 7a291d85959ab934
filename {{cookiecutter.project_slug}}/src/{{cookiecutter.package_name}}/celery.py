"""The Celery app: the option `-A` with the name of this package finds it here."""

from celery import Celery

from . import {{ cookiecutter._brokers[cookiecutter.broker].imports }}
{% if cookiecutter.beat != "none" %}
from .schedule import SCHEDULE
{% endif %}
from .tasks.base import BaseTask

#: Every module with tasks. A task in a module that is not listed does not exist for the worker.
TASK_MODULES = [
    f"{__package__}.tasks.heartbeat",
{% if cookiecutter.examples %}
    f"{__package__}.tasks.archive",
{% if cookiecutter.__chords %}
    f"{__package__}.tasks.imports",
{% endif %}
    f"{__package__}.tasks.maintenance",
    f"{__package__}.tasks.notifications",
    f"{__package__}.tasks.reports",
    f"{__package__}.tasks.webhooks",
{% endif %}
]


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
    app.conf.update((settings or config.load()).for_celery())
    app.conf.update(
        task_queues=queues.QUEUES,
        task_routes={{ cookiecutter._brokers[cookiecutter.broker].routes }},
{% if cookiecutter.beat != "none" %}
        beat_schedule=SCHEDULE,
{% endif %}
    )
    context.extend_log_records()
    app.steps["worker"].add(checks.StartupChecks)
    app.steps["consumer"].add(checks.PromptAcknowledgement)
    app.steps["consumer"].add({{ cookiecutter._brokers[cookiecutter.broker].step }})
    return app


app = create_app()
