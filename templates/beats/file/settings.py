
    beat_schedule_filename: str = "celerybeat-schedule"
