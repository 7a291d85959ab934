    "check-disk": entry(
        "maintenance.check_disk", schedule(timedelta(minutes=5)), timedelta(minutes=4)
    ),
    # A crontab instead of a daily interval, which would start anew if beat's state were lost.
    "purge-artifacts": entry(
        "maintenance.purge_artifacts",
        crontab(hour="3", minute="15"),
        timedelta(hours=6),
        older_than_days=30,
    ),
