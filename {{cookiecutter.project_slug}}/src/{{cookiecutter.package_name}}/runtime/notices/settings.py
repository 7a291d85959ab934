"""Who is told, and how: variables that begin with `APP_NOTIFY_`."""

from __future__ import annotations

import json
from string import Template
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from ..config.environment import Variables

#: The default port of each scheme. With `smtp`, a connection is encrypted if the server offers it.
PORTS = {"smtp": 25, "smtps": 465}


class Settings(Variables):
    """Who is told, and how; by default, nobody is."""

    model_config = SettingsConfigDict(env_prefix="APP_NOTIFY_")

    # By mail: to whom, from whom, and through which server.
    mail_to: tuple[str, ...] = ()
    mail_from: str = ""
    smtp_url: SecretStr | None = Field(default=None, examples=["smtp://USER:PASSWORD@HOST:587"])

    # By a webhook, such as that of a chat: its URL, and the JSON that it takes, with $text where
    # the text belongs. The default is that of Slack, Mattermost and Google Chat.
    webhook_url: SecretStr | None = Field(default=None, examples=["https://hooks.example.com/1"])
    webhook_body: str = '{"text": $text}'

    # At most three notices in so many seconds; what happens meanwhile is counted in the next.
    interval: Annotated[float, Field(ge=1)] = 600

    @field_validator("smtp_url")
    @classmethod
    def check_server(cls, url: SecretStr | None) -> SecretStr | None:
        """Refuse a URL that is not of a mail server."""
        if url and (
            urlsplit(url.get_secret_value()).scheme not in PORTS
            or not urlsplit(url.get_secret_value()).hostname
        ):
            raise ValueError("use a URL such as smtp://USER:PASSWORD@HOST:587, or smtps://")
        return url

    @field_validator("webhook_url")
    @classmethod
    def check_webhook(cls, url: SecretStr | None) -> SecretStr | None:
        """Refuse a URL that is not of the web."""
        if url and urlsplit(url.get_secret_value()).scheme not in {"http", "https"}:
            raise ValueError("use a URL that begins with https://")
        return url

    @field_validator("webhook_body")
    @classmethod
    def check_body(cls, body: str) -> str:
        """Refuse a body that would not be JSON, or that would not have the text."""
        if body_of(body, "a") == body_of(body, "b"):
            raise ValueError('it must have $text where the text belongs, such as {"text": $text}')
        try:
            json.loads(body_of(body, 'a "text"\nof two lines'))
        except ValueError:
            raise ValueError('it is not JSON with $text in it, such as {"text": $text}') from None
        return body

    @model_validator(mode="after")
    def check_mail(self) -> Self:
        """Refuse receivers of mail without a server or a sender."""
        for name, value in (("SMTP_URL", self.smtp_url), ("MAIL_FROM", self.mail_from)):
            if self.mail_to and not value:
                raise ValueError(
                    f"APP_NOTIFY_MAIL_TO is set, but APP_NOTIFY_{name} is not: set both"
                )
        return self

    @property
    def channels(self) -> list[str]:
        """Return the ways by which somebody is told."""
        ways = {"mail": self.mail_to, "webhook": self.webhook_url}
        return [name for name, value in ways.items() if value]


def body_of(template: str, text: str) -> str:
    """Return the body of a webhook's request."""
    return Template(template).safe_substitute(text=json.dumps(text))
