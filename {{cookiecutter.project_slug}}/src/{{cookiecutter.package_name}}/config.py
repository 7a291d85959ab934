{% set django = cookiecutter.__django and cookiecutter.result_backend == "database" %}
{% set rows = [
    cookiecutter._settings.broker[cookiecutter.broker],
    cookiecutter._settings.results["django" if django else cookiecutter.result_backend],
    cookiecutter._settings.beat[cookiecutter.beat],
] | select | list %}
{% set shared %}
(
    ENV_FILE,
    ConfigurationError,
    Count,
    InMemory,
    OnServers,
    OnThisMachine,
    PriorityNumber,
    Seconds,
    TimeZone,
    load_from,
){% endset %}
{% set database = [["sql.settings", "Database"]] if cookiecutter.__sql else [] %}
"""Celery's settings: the choices of this project. `APP_ENV` names the class that is used.

Every field of a class, including those inherited from `runtime/`, is a Celery setting that an
environment variable overrides: `CELERY_` plus its name in capitals, or the same with `_FILE` and
the path of a file that holds a secret. `.env.example` lists all of them. To use another setting,
add a field to `Base`; Celery's own defaults are not repeated here.

https://docs.celeryq.dev/en/stable/userguide/configuration.html
"""

from pathlib import Path

from .limits import BUDGET
from .queues import Priority, QueueName
{% for module, names in (rows + database + [["config", shared]]) | groupby(0) %}
from .runtime.{{ module }} import {{ names | map("last") | sort | join(", ") }}
{% endfor %}

__all__ = ["ENVIRONMENTS", "Base", "ConfigurationError", "load"]
{% if cookiecutter.__sql %}


class SQL(Database):
    """How to reach the database, with fields for variables that begin with `DATABASE_`."""

{% if cookiecutter.database == "postgresql" %}
    # SQLite is for a developer's machine.
    dialects = ("postgresql", "sqlite")
{% else %}
    dialects = ("sqlite",)
{% endif %}
    # Seconds to wait for a free connection; the pool has one for each task that runs at once.
    pool_timeout: Seconds = 10
{% endif %}


class Base({{ rows | map("last") | join(", ") }}):
    """The settings that all environments share."""

    budget = BUDGET
    queues = QueueName
{% if cookiecutter.__sql %}
    database = SQL
{% endif %}

    timezone: TimeZone = "UTC"
    task_default_queue: QueueName = QueueName.DEFAULT
    task_default_priority: PriorityNumber = Priority.NORMAL.value
    task_soft_time_limit: Seconds = BUDGET.soft
    task_time_limit: Seconds = BUDGET.hard
{% if cookiecutter.__results %}
    # Long enough to look into yesterday's failures; short enough that results do not pile up.
    result_expires: Seconds = 24 * 3600
{% endif %}

    # Take no more tasks than the worker can run, so that few of them wait behind a long one.
    worker_prefetch_multiplier: Count = 1
    # Replace a prefork process after this many tasks or kilobytes, so that leaks stay small. That
    # takes 0.2 s, during which the worker starts no task.
    worker_max_tasks_per_child: Count = 10_000
    worker_max_memory_per_child: Count = 500_000


class Development(OnThisMachine, Base):
    """A developer's machine; `make dev` runs a server for what no URL names."""


class Testing(InMemory, Base):
    """Tests: everything is in memory, and the environment is ignored."""


class Production(OnServers, Base):
    """Production: every server must be named, and unsafe URLs are refused."""


class Staging(Production):
    """Staging: other servers than production, but the same rules and checks."""


ENVIRONMENTS: dict[str, type[Base]] = {
    "development": Development,
    "testing": Testing,
    "staging": Staging,
    "production": Production,
}


def load(env_file: Path = ENV_FILE) -> Base:
    """Return the settings of this process, from the class that `APP_ENV` names.

    Raises:
        ConfigurationError: A value is wrong, or a variable is unknown.
    """
    return load_from(ENVIRONMENTS, env_file)
