"""E-mails about reports: the report itself, or a notice that it failed."""

from __future__ import annotations

import mimetypes
from pathlib import PurePosixPath

from ..artifacts import artifacts
from ..celery import app
from ..queues import QueueName
from ..runtime.tasks.base import BaseTask
from .notifications import compose, deliver


@app.task(name="report_mails.send", queue=QueueName.IO)
def send(pointer: str, to: str, subject: str) -> None:
    """Send an e-mail with an artifact attached."""
    message, name = compose(to, subject, "The file is attached.\n"), PurePosixPath(pointer).name
    kind, _, subtype = (mimetypes.guess_type(name)[0] or "application/octet-stream").partition("/")
    with artifacts.open_binary(pointer) as file:
        message.add_attachment(file.read(), maintype=kind, subtype=subtype, filename=name)
    deliver(message)


# Celery sends an error callback as a task, with retries and a queue, only if it is bound or takes
# at most one argument; it calls others in place (celery/backends/base.py, `_call_task_errbacks`).
@app.task(bind=True, name="report_mails.tell_failure", queue=QueueName.IO)
def tell_failure(self: BaseTask, to: str, what: str) -> None:
    """Notify somebody that a task failed; use this as an error callback."""
    text = f"{what} failed. The log of task {self.request.parent_id} shows why.\n"
    deliver(compose(to, f"{what} failed", text))
