
    beat_scheduler: values.Importable = f"{PACKAGE}.jobs.scheduler:Scheduler"
    # Seconds until beat sees a row that somebody has edited.
    beat_max_loop_interval: Seconds = 5
