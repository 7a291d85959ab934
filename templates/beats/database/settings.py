
    beat_scheduler: values.Importable = f"{PACKAGE}.runtime.django.scheduler:Scheduler"
    # Seconds until beat sees a row that somebody has edited.
    beat_max_loop_interval: Seconds = 5
