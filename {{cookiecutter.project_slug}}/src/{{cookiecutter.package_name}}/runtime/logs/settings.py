"""How a process writes its log: variables that begin with `APP_LOG_`."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import SettingsConfigDict

from ..config.environment import Variables

Format = Literal["console", "json"]


class Settings(Variables):
    """How a process writes its log."""

    model_config = SettingsConfigDict(env_prefix="APP_LOG_")

    # `json` has one JSON object per line; `console` is for people. By default, that of the class of
    # settings that APP_ENV names.
    format: Format | None = None

    # For the web and for commands; workers and beat have CELERY_WORKER_LOGLEVEL and
    # CELERY_BEAT_LOGLEVEL.
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
