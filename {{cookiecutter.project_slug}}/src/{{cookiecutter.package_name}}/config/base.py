"""What every environment shares. Celery's defaults are not repeated here.

All settings: https://docs.celeryq.dev/en/stable/userguide/configuration.html
"""

from typing import Any, ClassVar, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from ..limits import BUDGET
from ..queues import Priority, QueueName
from ..runtime.budget import Budget
from ..runtime.budget import broken as broken_budget
{% if cookiecutter.beat == "redbeat" %}
from ..runtime.beat.redbeat_settings import PACKAGE, STORES, RedBeatOptions, broken, masterless
{% endif %}
from ..runtime.config import urls, values
from ..runtime.config.annotations import Annotation, Annotations
from ..runtime.config.broker import Broker
from ..runtime.config.values import Count, Seconds
from ..runtime.config.variables import PREFIX
{% if cookiecutter.result_backend == "redis" %}
from ..runtime.redis.redis_options import SOCKET, ResultOptions, nameless
{% endif %}

{% if cookiecutter.__django and cookiecutter.beat != "redbeat" and "database" in (cookiecutter.beat, cookiecutter.result_backend) %}
PACKAGE = __package__.partition(".")[0]
{% endif %}
#: What the URL of a result backend may begin with.
RESULTS: list[str] = {{ cookiecutter._result_schemes[cookiecutter.result_backend] | tojson }}


class Base(Broker):
    """Celery's settings as fields; the environment overrides them."""

    budget: ClassVar[Budget] = BUDGET

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",  # load() names unknown variables, and says what to do
    )

{% if cookiecutter.result_backend == "redis" %}
    result_backend: str = Field(repr=False, description="give the URL of the result backend")
{% elif cookiecutter.result_backend == "rpc" %}
    # Results are messages to the caller; no other process can read them.
    result_backend: str = "rpc://"
{% elif cookiecutter.__results_in_database %}
    # Tables in the database of the project.
    result_backend: str = f"{__package__.removesuffix('.config')}.runtime.sql.results:Results"
    # Twice a second, who waits for a result looks; a chord waits until its parts have ended.
    result_chord_retry_interval: Seconds = 1
{% elif cookiecutter.__django and cookiecutter.result_backend == "database" %}
    # Rows of django-celery-results, in the database of Django.
    result_backend: str = f"{PACKAGE}.runtime.django.results.DatabaseBackend"
    # Arguments may be personal data, and a message has them already.
    result_extended: bool = False
{% endif %}
    broker_read_url: str | None = Field(default=None, repr=False)
    broker_write_url: str | None = Field(default=None, repr=False)
    # Wait for a broker that is down, at start-up too and for as long as it takes. Celery documents
    # 0 as "for ever", but kombu 5.7 then gives up at once (kombu/utils/functional.py).
    broker_connection_retry_on_startup: bool = True
    broker_connection_max_retries: Count = 1_000_000

    task_serializer: values.Serializer = "json"
    result_serializer: values.Serializer = "json"
    accept_content: tuple[values.Serializer, ...] = Field(default=("json",), min_length=1)
    timezone: values.TimeZone = "UTC"

    # At least once: acknowledge when a task has ended, not when it starts.
    task_acks_late: bool = True
    # A task whose process was killed runs again, up to `max_crashes` of runtime/tasks/base.py;
    # task_reject_on_worker_lost has no limit.
    task_retry_on_worker_lost: bool = True
    task_soft_time_limit: Seconds = BUDGET.soft
    task_time_limit: Seconds = BUDGET.hard
    task_default_queue: QueueName = QueueName.DEFAULT
    task_default_priority: values.PriorityNumber = Priority.NORMAL.value
    # A misspelt queue is an error for the caller, not a queue that nobody reads.
    task_create_missing_queues: bool = False
    # Results cost a write each; a task that has one to give sets ignore_result=False.
    task_ignore_result: bool = True
    # Attributes of tasks, such as limits of one worker, by the task's name, or `*` for all.
    task_annotations: dict[str, Annotation] = Field(
        default={}, examples=[{"*": {"rate_limit": "10/s"}}]
    )
    task_publish_retry_policy: values.RetryPolicy = values.RetryPolicy()
{% if cookiecutter._keeps_results[cookiecutter.result_backend] %}

    # Call the error callback of a chord once, when all tasks of its header have ended.
    task_allow_error_cb_on_chord_header: bool = False
    result_expires: Seconds = 24 * 3600
{% endif %}
{% if cookiecutter.result_backend == "redis" %}
    redis_socket_timeout: Seconds = 1
    redis_socket_connect_timeout: Seconds = 1
    redis_socket_keepalive: bool = True
    result_backend_transport_options: ResultOptions = ResultOptions()
{% endif %}

    # No more than a worker can run, so that little waits behind a long task.
    worker_prefetch_multiplier: Count = 1
    # Replace a prefork process after so many tasks or kilobytes: leaks stay small. It costs 0.2 s,
    # in which the worker starts no task.
    worker_max_tasks_per_child: Count = 10_000
    worker_max_memory_per_child: Count = 500_000
    # Celery's formats, with what runtime/context.py adds to every record.
    worker_log_format: values.LogFormat = (
        "[%(asctime)s: %(levelname)s/%(processName)s] [%(correlation_id)s %(tenant)s] %(message)s"
    )
    worker_task_log_format: values.TaskLogFormat = (
        "[%(asctime)s: %(levelname)s/%(processName)s] [%(correlation_id)s %(tenant)s]"
        " %(task_name)s[%(task_id)s]: %(message)s"
    )
{% include "beats/" ~ cookiecutter.beat ~ "/settings.py" ignore missing %}

    @field_validator("*")
    @classmethod
    def check_url(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse the URL of a server that cannot be used; a list holds several."""
        name = str(info.field_name)
        if not isinstance(value, str) or not name.endswith(("_url", "_backend")):
            return value
        if name == "result_backend" and "://" not in value and "." in value:
            return values.is_importable(value)
        for url in urls.servers(value):
            reason = urls.broken(url, RESULTS if name == "result_backend" else ())
            if name.startswith("broker_"):
                cls.check_scheme(url)
                reason = reason or urls.refused_by_kombu(url)
            if reason:
                raise ValueError(reason)
        return value

    @model_validator(mode="after")
    def check_time_budget(self) -> Self:
        """Refuse limits that contradict each other."""
        sentence = broken_budget(
            self.task_soft_time_limit,
            self.task_time_limit,
            BUDGET.grace,
            self.lease,
        )
        if sentence:
            raise ValueError(sentence)
        return self
{% if cookiecutter.result_backend == "redis" %}

    @model_validator(mode="after")
    def check_master_of_results(self) -> Self:
        """Refuse a Sentinel that is asked for no master."""
        name = self.result_backend_transport_options.master_name
        variable = "CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS__MASTER_NAME"
        if sentence := nameless(self.result_backend, name, variable):
            raise ValueError(sentence)
        return self
{% endif %}

    def for_celery(self) -> dict[str, Any]:
        """Return the settings as Celery takes them."""
        settings = self.model_dump(exclude_none=True)
{% if cookiecutter.result_backend == "redis" %}
        # A socket has none, and Celery leaves it out only if it is off (celery/backends/redis.py).
        settings["redis_socket_keepalive"] &= not self.result_backend.startswith(SOCKET)
{% endif %}
        return {**settings, "task_annotations": (Annotations(self.task_annotations),)}
