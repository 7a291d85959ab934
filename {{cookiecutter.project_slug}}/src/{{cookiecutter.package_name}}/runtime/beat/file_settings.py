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
    def on_this_machine(cls) -> dict[str, Any]:
        """Keep the schedule file with all else that development writes."""
        file = str(LOCAL_FOLDER / "beat-schedule")
        return {**super().on_this_machine(), "beat_schedule_filename": file}
