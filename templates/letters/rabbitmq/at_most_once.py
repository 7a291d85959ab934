class AtMostOnceTask(BaseTask):
    """Never started again: lost rather than done twice.

    It is acknowledged when it has ended. What RabbitMQ delivers again may have been started, by a
    worker that died or was cut off: it is a dead letter, and a person decides on its replay.
    """

    retry_on_worker_lost = False
    autoretry_for = ()
    max_retries = 0

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Refuse what may have been started before.

        Raises:
            Reject: The message was delivered before.
{% if cookiecutter.__cancels %}
            Ignore: It was cancelled.
{% endif %}
        """
{% if cookiecutter.__cancels %}
        self.refuse_cancelled()
{% endif %}
        if (self.request.delivery_info or {}).get("redelivered"):
            raise Reject(RunLostError("delivered before, it may have been started"), requeue=False)
