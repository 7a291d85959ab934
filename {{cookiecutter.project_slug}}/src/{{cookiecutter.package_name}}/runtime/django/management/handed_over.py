"""A command of `manage.py` that is a command of `celery`."""

from __future__ import annotations

from argparse import REMAINDER
from types import SimpleNamespace
from typing import Any, ClassVar

import click
from celery import current_app
from django.core.management import BaseCommand, CommandParser


class HandedOver(BaseCommand):
    """Pass all words on to a command of click."""

    command: ClassVar[click.Command]

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line; the options and the help are those of the command."""
        self.command.main(argv[2:], f"{argv[0]} {argv[1]}", obj=SimpleNamespace(app=current_app))

    def add_arguments(self, parser: CommandParser) -> None:
        """Let `call_command` pass words on."""
        parser.add_argument("words", nargs=REMAINDER)

    def handle(self, *, words: list[str], **options: Any) -> None:
        """Run for `call_command`."""
        self.command.main(words, obj=SimpleNamespace(app=current_app), standalone_mode=False)
