    "check-disk": entry(
        "maintenance.check_disk", schedule(timedelta(minutes=5)), timedelta(minutes=4)
    ),
    # A crontab, not an interval of a day: an interval starts anew when beat's state is lost.
    "purge-artifacts": entry(
        "maintenance.purge_artifacts",
        crontab(hour="3", minute="15"),
        timedelta(hours=6),
        older_than_days=30,
    ),
