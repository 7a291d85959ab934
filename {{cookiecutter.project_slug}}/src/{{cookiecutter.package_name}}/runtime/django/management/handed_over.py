"""A command of `manage.py` that hands over to a command of `celery`."""

from __future__ import annotations

from argparse import REMAINDER
from types import SimpleNamespace
from typing import Any, ClassVar

import click
from celery import current_app
from django.core.management import BaseCommand, CommandParser


class HandedOver(BaseCommand):
    """Pass all arguments on to a click command."""

    command: ClassVar[click.Command]

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line, with the options and help of the click command."""
        self.command.main(argv[2:], f"{argv[0]} {argv[1]}", obj=SimpleNamespace(app=current_app))

    def add_arguments(self, parser: CommandParser) -> None:
        """Accept any arguments from `call_command`."""
        parser.add_argument("words", nargs=REMAINDER)

    def handle(self, *, words: list[str], **options: Any) -> None:
        """Run when called by `call_command`."""
        self.command.main(words, obj=SimpleNamespace(app=current_app), standalone_mode=False)
