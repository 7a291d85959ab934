"""Production: nothing is guessed, nothing is unsafe."""

from typing import Self

from pydantic import model_validator

from ..runtime.config.urls import servers, unsafe
from .base import Base


class Production(Base):
    """Every URL must be given and be safe."""

    @model_validator(mode="after")
    def check_urls(self) -> Self:
        """Refuse a URL that would leak or lose work."""
        for name in type(self).model_fields:
            value = getattr(self, name) if name.endswith(("_url", "_backend")) else None
            for url in servers(value or ""):
                if reason := unsafe(url):
                    raise ValueError(f"CELERY_{name.upper()} is refused: {reason}")
        return self
