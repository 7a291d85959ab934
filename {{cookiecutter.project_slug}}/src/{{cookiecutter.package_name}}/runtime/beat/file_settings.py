"""Settings of a beat that stores its last runs in a file."""

from __future__ import annotations

from typing import Any

from ..config.environment import LOCAL_FOLDER
from ..config.settings import Settings
from ..config.values import Importable


class FileBeat(Settings):
    """Celery's own beat; run only one."""

    beat_scheduler: Importable = f"{__package__}.schedule_file:Scheduler"
    beat_schedule_filename: str = "celerybeat-schedule"

    @classmethod
    def on_files(cls) -> dict[str, Any]:
        """Keep the schedule file beside the files of the queues."""
        return {**super().on_files(), "beat_schedule_filename": str(LOCAL_FOLDER / "beat-schedule")}
