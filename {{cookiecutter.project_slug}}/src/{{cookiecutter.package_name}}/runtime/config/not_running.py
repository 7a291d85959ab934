"""The error of a publisher or a command while the server of this project does not run."""

from __future__ import annotations

import click
from kombu.exceptions import OperationalError

from ..printable import one_line
from . import machine


class NotRunningError(OperationalError, click.ClickException):
    """The server does not run; a command ends with the one line that says what to do."""

    def __init__(self) -> None:
        super().__init__(machine.NOT_RUNNING)


def for_command(error: Exception) -> click.ClickException:
    """Return an error of one line with which a command ends because of another error."""
    return NotRunningError() if machine.is_meant(error) else click.ClickException(one_line(error))
