
    beat_scheduler: str = f"{PACKAGE}.jobs.scheduler:Scheduler"
    # Seconds until beat sees a row that somebody has edited.
    beat_max_loop_interval: PositiveFloat = 5
