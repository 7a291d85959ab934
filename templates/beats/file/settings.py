
    beat_scheduler: values.Importable = (
        f"{__package__.removesuffix('.config')}.runtime.beat.schedule_file:Scheduler"
    )
    beat_schedule_filename: str = "celerybeat-schedule"
