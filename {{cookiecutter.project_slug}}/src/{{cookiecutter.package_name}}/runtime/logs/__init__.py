"""Log lines: one format for workers, beat, the web and commands, on the standard error.

    logger = structlog.get_logger()
    logger.info("order sent", order=7)

Loggers of the standard library and `print` in a task are as good. Every line of a task has its
name, id, queue and attempt, its correlation id and tenant, and its worker. A worker writes one line
for each task when it has ended. `APP_LOG_FORMAT` is `json` or, for people, `console`.
"""
