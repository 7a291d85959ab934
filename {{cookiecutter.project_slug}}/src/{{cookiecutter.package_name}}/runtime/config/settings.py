"""The Celery settings that every project has, as fields that environment variables override.

All settings: https://docs.celeryq.dev/en/stable/userguide/configuration.html
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from .. import budget as budgets
from ..broker import Broker
from . import machine, urls, values
from .annotations import Annotation, Annotations
from .environment import Variables
from .values import Count, Seconds
from .variables import PREFIX


class Settings(Variables):
    """Settings that do not depend on the servers in use: the guarantees of this package.

    The classes for brokers, results and beat derive from this one and add what they need. The
    project's own class derives from one of each. Every field that is added is a Celery setting.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        # load_from() reports unknown variables and says what to do about them.
        env_nested_delimiter="__",
        # A variable that sets one option of a table leaves the project's other options unchanged.
        nested_model_default_partial_update=True,
    )

    #: How long things may take; the project sets it.
    budget: ClassVar[budgets.Budget]
    #: The names of all queues; the project sets them.
    queues: ClassVar[type[StrEnum]]

    #: The settings of the project's database, where it has one.
    database: ClassVar[type[Variables] | None] = None

    #: The format of log lines, unless APP_LOG_FORMAT names one.
    log_format: ClassVar[Literal["console", "json"]] = "console"

    #: The kind of broker that queues, priorities and routes are made for, and its URL schemes.
    broker: ClassVar[Broker]
    broker_schemes: ClassVar[tuple[str, ...]]
    #: The setting by which the broker notices that a worker is gone, and the variable that sets it.
    lease_name: ClassVar[str]
    lease_setting: ClassVar[str]
    #: The schemes that the URL of a result backend may have.
    result_schemes: ClassVar[tuple[str, ...]] = ()
    #: The classes of result backends that replace Celery's, by the scheme of their URLs.
    backends: ClassVar[dict[str, str]] = {}

    # Where the queues are.
    broker_url: str = Field(repr=False, description="give the URL of the broker")
    broker_read_url: str | None = Field(default=None, repr=False)
    broker_write_url: str | None = Field(default=None, repr=False)
    # Wait for a broker that is down for as long as it takes, also at start-up. Celery documents 0
    # as "for ever", but kombu 5.7 then gives up at once (kombu/utils/functional.py).
    broker_connection_retry_on_startup: bool = True
    broker_connection_max_retries: Count = 1_000_000

    task_serializer: values.Serializer = "json"
    result_serializer: values.Serializer = "json"
    accept_content: tuple[values.Serializer, ...] = Field(default=("json",), min_length=1)

    # At least once: acknowledge a task when it has ended, not when it starts.
    task_acks_late: bool = True
    # A task whose process was killed runs again, at most `max_crashes` times (tasks/base.py);
    # Celery's task_reject_on_worker_lost has no limit.
    task_retry_on_worker_lost: bool = True
    # A misspelt queue is an error for the caller. Celery's default makes a queue that nobody reads.
    task_create_missing_queues: bool = False
    # Each result costs a write; a task whose result is needed sets ignore_result=False.
    task_ignore_result: bool = True
    # Limits for tasks without their own; the project sets them from its time budget.
    task_soft_time_limit: Seconds
    task_time_limit: Seconds
    # Attributes of tasks, such as rate limits per worker, by task name, or `*` for all tasks.
    task_annotations: dict[str, Annotation] = Field(
        default={}, examples=[{"*": {"rate_limit": "10/s"}}]
    )
    # A publisher gives up after about a second when the broker is down.
    task_publish_retry_policy: values.RetryPolicy = values.RetryPolicy()

    @classmethod
    def on_this_machine(cls) -> dict[str, Any]:
        """Return the defaults of a developer's machine, which needs no server but its own."""
        return {"broker_url": machine.url(machine.QUEUES)}

    @classmethod
    def in_memory(cls) -> dict[str, Any]:
        """Return the defaults of a test, whose worker is a thread in its own process."""
        return {"broker_url": "memory://"}

    @field_validator("*")
    @classmethod
    def check_url(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse a URL that cannot be used; the value may be a list of several URLs."""
        name = str(info.field_name)
        if not isinstance(value, str) or not name.endswith(("_url", "_backend")):
            return value
        if machine.is_own(value):
            return value
        if name == "result_backend" and "://" not in value and "." in value:
            return values.is_importable(value)
        for url in urls.servers(value):
            if name.startswith("broker_"):
                reason = cls.foreign(url) or urls.broken(url) or urls.refused_by_kombu(url)
            else:
                schemes = cls.result_schemes if name == "result_backend" else ()
                reason = urls.broken(url, schemes) or urls.refused_by_redis(url)
            if reason:
                raise ValueError(reason)
        return value

    @classmethod
    def foreign(cls, url: str) -> str | None:
        """Return why the URL belongs to another kind of broker, or None.

        Queues and priorities are made for one kind; in tests, memory takes its place.
        """
        if url.partition("://")[0] in {urls.MEMORY, *cls.broker_schemes} and "://" in url:
            return None
        schemes = values.listed([f"{scheme}://" for scheme in cls.broker_schemes])
        return f"this project is made for {cls.broker.name}: use {schemes}"

    @field_validator("task_annotations")
    @classmethod
    def check_queues(cls, table: dict[str, Annotation]) -> dict[str, Annotation]:
        """Refuse a queue that the project does not have."""
        if {row.queue for row in table.values() if row.queue} - {*cls.queues}:
            names = values.listed([f"'{name}'" for name in cls.queues])
            raise ValueError(f"there is no such queue: use {names}")
        return table

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse settings that contradict each other."""
        for sentence in self.refusals():
            raise ValueError(sentence)
        return self

    def refusals(self) -> Iterator[str]:
        """Yield a sentence for every conflict between settings that are valid one by one."""
        sentence = budgets.broken(
            self.task_soft_time_limit, self.task_time_limit, self.budget.grace, self.lease
        )
        if sentence:
            yield sentence

    @property
    def lease_seconds(self) -> float:
        """How long the broker waits for a silent worker; each broker's class knows the setting."""
        return self.budget.lease

    @classmethod
    def lease_in(cls, conf: Any) -> budgets.Lease:
        """Return the lease from an app's configuration; each broker's class knows the setting."""
        raise NotImplementedError

    @property
    def lease(self) -> budgets.Lease:
        """The time after which a silent worker's tasks go to another worker."""
        return budgets.Lease(self.lease_seconds, self.lease_name, self.lease_setting)

    def for_celery(self) -> dict[str, Any]:
        """Return the settings in the form that Celery takes."""
        annotations = Annotations(self.task_annotations)
        return {**self.model_dump(exclude_none=True), "task_annotations": (annotations,)}
