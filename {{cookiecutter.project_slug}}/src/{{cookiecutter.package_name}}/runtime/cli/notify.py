"""The command `celery notify`: send a notice now, to see whether it arrives."""

from __future__ import annotations

import click

from ..printable import one_line


@click.command("notify")
@click.argument("text", default="This is a test.")
@click.pass_context
def notify(context: click.Context, text: str) -> None:
    """Send TEXT to those whom the variables APP_NOTIFY_... name, to see whether it arrives."""
    from ..config.environment import read
    from ..notices import sending
    from ..notices.settings import Settings

    settings = read(Settings)
    if not settings.channels:
        raise click.ClickException(
            "nobody is to be told: set APP_NOTIFY_MAIL_TO or APP_NOTIFY_WEBHOOK_URL"
        )
    for channel in settings.channels:
        try:
            sending.send(channel, settings, f"[{context.obj.app.main}] {text}", text)
        except sending.ERRORS as error:
            raise click.ClickException(
                f"the {channel} could not be sent: {one_line(error)}"
            ) from None
        click.echo(f"Sent by {channel}.")
