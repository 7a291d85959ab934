"""Where a process offers its metrics: variables that begin with `APP_METRICS_`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from ..config.environment import Variables


class Settings(Variables):
    """Where a process offers its metrics; by default, nowhere."""

    model_config = SettingsConfigDict(env_prefix="APP_METRICS_")

    # The port on which the process answers Prometheus, and the address that it listens on. Each
    # worker of a machine needs a port of its own.
    port: Annotated[int, Field(gt=0, lt=65536)] | None = None
    host: str = "127.0.0.1"

    # Where no port can be had: the folder of the "textfile" collector of Prometheus' node_exporter,
    # and how often, in seconds, the process writes its file there.
    folder: Path | None = None
    interval: Annotated[float, Field(ge=1, le=3600)] = 15

    @property
    def is_wanted(self) -> bool:
        """Whether the process is to offer its metrics anywhere."""
        return self.port is not None or self.folder is not None
