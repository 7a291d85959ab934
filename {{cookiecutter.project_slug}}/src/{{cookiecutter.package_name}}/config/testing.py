"""Tests: everything in memory, nothing from the environment."""

from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from .base import Base


class Testing(Base):
    """A worker in the test's own process; only arguments override the fields."""

    broker_url: str = "memory://"
{% if cookiecutter.result_backend != "none" %}
    result_backend: str = "cache+memory://"
{% endif %}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments only: a variable of the shell must not lead a test to a real broker."""
        return (init_settings,)

    def for_celery(self) -> dict[str, Any]:
        """Look for messages a hundred times a second, not once."""
        settings = super().for_celery()
        if self.broker_url == "memory://":
            settings["broker_transport_options"] = {"polling_interval": 0.01}
        return settings
