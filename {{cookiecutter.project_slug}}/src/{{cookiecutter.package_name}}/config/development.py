"""A developer's machine: works with no server at all."""

import sys
from pathlib import Path
from typing import Any
{% if cookiecutter.result_backend not in ("none", "database") %}

from pydantic import Field
{% endif %}

from ..runtime.config.environment import ConfigurationError, make_folder
{% if cookiecutter.beat == "redbeat" %}
from ..runtime.redis.redis_options import SCHEMES
{% endif %}
from .base import Base

LOCAL = Path(".celery")


class Development(Base):
    """Queues{{ " and results" if cookiecutter.result_backend not in ("none", "database") }} are files under `.celery/` unless a broker is configured.

    For a first look only: the file broker knows no priorities and loses the tasks of a dead worker.
    """

    broker_url: str = "filesystem://localhost"
{% if cookiecutter.result_backend not in ("none", "database") %}
    result_backend: str = Field(default_factory=lambda: f"file://{LOCAL.absolute() / 'results'}")
{% endif %}
{% if cookiecutter.beat == "file" %}
    beat_schedule_filename: str = str(LOCAL / "beat-schedule")
{% endif %}

    def for_celery(self) -> dict[str, Any]:
        """Add the folders of the file broker."""
        settings = super().for_celery()
{% if cookiecutter.beat == "redbeat" %}
        if not self.redbeat_redis_url.startswith(SCHEMES):
            settings["beat_scheduler"] = "celery.beat:PersistentScheduler"
            settings["beat_schedule_filename"] = str(LOCAL / "beat-schedule")
{% endif %}
        for name in ("queues", "control", "results"):
            make_folder(LOCAL / name)
        if self.broker_url.startswith("filesystem://"):
            use_files()
            print("No CELERY_BROKER_URL: queues are files under .celery/", file=sys.stderr)
            settings["worker_disable_prefetch"] = False  # only Redis can
            settings["broker_transport_options"] = {
                "data_folder_in": str(LOCAL.absolute() / "queues"),
                "data_folder_out": str(LOCAL.absolute() / "queues"),
                "control_folder": str(LOCAL.absolute() / "control"),
            }
        return settings


def use_files() -> None:
    """Let files be the queues.

    Raises:
        ConfigurationError: They cannot be locked here: on Windows kombu needs pywin32 for it.
    """
    try:
        from ..runtime.config import local_broker
    except ImportError as error:
        raise ConfigurationError(
            "CELERY_BROKER_URL is not set, and queues in files need a module that is missing here"
            f" ({error.name}): set CELERY_BROKER_URL, or install pywin32 on Windows"
        ) from None
    local_broker.use()
