"""Staging: production's rules, so that a release is tried as it will run."""

from .production import Production


class Staging(Production):
    """Other servers, same code and same checks."""
