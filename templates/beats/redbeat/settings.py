
    beat_scheduler: values.Importable = f"{PACKAGE}.runtime.beat.redbeat:Scheduler"
    # Seconds until beat sees a schedule that another process has added; redbeat's default is 300.
    beat_max_loop_interval: Seconds = 5
    # With one sleep more, seconds until another beat goes on in place of one that died: 30 in all.
    # redbeat's default is 25 minutes.
    redbeat_lock_timeout: Count = 25
    # Where schedules are kept.
    redbeat_redis_url: str = Field(
        default_factory=lambda data: data.get({{ '"broker_url"' if cookiecutter.broker == "redis" else '"result_backend"' }}, ""), repr=False
    )
    redbeat_redis_options: RedBeatOptions = RedBeatOptions()
    # Beats with the same prefix share entries and lock, so that each project needs its own.
    redbeat_key_prefix: str = f"{PACKAGE}:beat:"

    @model_validator(mode="after")
    def check_beat(self) -> Self:
        """Refuse a beat that would lose its lock, and a place where redbeat keeps nothing."""
        if sentence := broken(self.beat_max_loop_interval, self.redbeat_lock_timeout):
            raise ValueError(sentence)
        if not self.redbeat_redis_url.startswith(STORES):
            allowed = "redis://, rediss://, redis+socket:// or sentinel://"
            raise ValueError(f"CELERY_REDBEAT_REDIS_URL must begin with {allowed}")
        others = (
            getattr(self, f"{name}_transport_options", None)
            for name in ("broker", "result_backend")
        )
        if sentence := masterless(self.redbeat_redis_url, self.redbeat_redis_options, *others):
            raise ValueError(sentence)
        return self
