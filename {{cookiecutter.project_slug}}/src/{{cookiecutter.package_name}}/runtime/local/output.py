"""What `make dev` writes: the lines of all processes, each with the name of its process."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

import click

#: Colours of the names, one process after the other.
COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_red", "bright_cyan")

#: Colours of lines by what they contain.
LEVELS = {
    "red": re.compile(r"\b(ERROR|CRITICAL)\b"),
    "yellow": re.compile(r"\bWARNING\b"),
}

#: Characters that would change the terminal, besides tabs.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Output:
    """Standard output, in colour if it is a terminal and NO_COLOR is not set.

    Args:
        names: The names of the processes.
    """

    def __init__(self, names: Collection[str]) -> None:
        self.width = max(map(len, names), default=0)
        self.colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(names)}
        self.colour = False if os.environ.get("NO_COLOR") else None

    def line(self, text: str, name: str = "") -> None:
        """Write a line of a process, or one of `make dev` itself."""
        text = CONTROL.sub("", text)
        level = next((colour for colour, word in LEVELS.items() if word.search(text)), None)
        bar = click.style(f"{name:{self.width}} |", fg=self.colours.get(name), bold=True)
        self.write(f"{bar} {click.style(text, fg=level) if level and name else text}")

    def write(self, text: str) -> None:
        """Write a line; if the terminal is gone, write nothing."""
        try:
            click.echo(text, color=self.colour)
        except OSError:  # processes must be stopped nevertheless
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
