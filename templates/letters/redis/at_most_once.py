class AtMostOnceTask(BaseTask):
    """Never started again: lost rather than done twice.

    It leaves a mark in the store before it starts (`runtime/guards/runs.py`), and is acknowledged
    when it has ended. So whatever dies, its message comes back: it starts if it never had, and
    otherwise is a dead letter. A person decides on its replay.
    """

    retry_on_worker_lost = False
    autoretry_for = ()
    max_retries = 0

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Refuse what was started before.

        Raises:
            Reject: There was a run, and its worker is gone.
            Ignore: There was one, which succeeded{{ "; or it was cancelled" if cookiecutter.__cancels }}.
            Retry: It still runs, or the store is away: look later.
        """
{% if cookiecutter.__cancels %}
        self.refuse_cancelled()
{% endif %}
        try:
            earlier = runs.start(self.request)
        except redis.RedisError as error:
            later = NotNowError(f"no store: {error}", self.default_retry_delay)
            raise self.put_back(later) from error
        match earlier:
            case Earlier.LOST:
                lost = RunLostError("its worker died; how far it came is unknown")
                raise Reject(lost, requeue=False)
            case Earlier.RUNS:
                raise self.put_back(NotNowError("it runs already", LEASE))
            case Earlier.ENDED:
                raise Ignore("it has run already")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run, with a sign of life."""
        if self.request.called_directly:
            return super().__call__(*args, **kwargs)
        try:
            with runs.alive(self.request):
                return self.run(*args, **kwargs)
        except Retry:  # by its own `self.retry`
            runs.forget(self.request)
            raise

    def after_return(self, status: str, retval: Any, task_id: str, *_: Any) -> None:
        """Note that the run has succeeded; a failure is a letter, which may not be kept yet."""
        if status == "SUCCESS":
            runs.end(self.request)
