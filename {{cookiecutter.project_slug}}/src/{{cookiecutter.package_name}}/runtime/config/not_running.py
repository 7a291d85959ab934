"""The error of a publisher while the server of this project does not run."""

from __future__ import annotations

import click
from kombu.exceptions import OperationalError

from . import machine


class NotRunningError(OperationalError, click.ClickException):
    """The server does not run; a command ends with the one line that says what to do."""

    def __init__(self) -> None:
        super().__init__(machine.NOT_RUNNING)
