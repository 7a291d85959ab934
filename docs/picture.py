# /// script
# requires-python = ">=3.11"
# dependencies = ["cookiecutter>=2.7.1,<3", "pyte>=0.8,<1", "rich>=14,<16"]
# ///
"""Draw docs/demo.svg from a real run of the default project: `uv run docs/picture.py`.

The project is generated in a temporary folder, its workers are started by `make dev`, and what
`make demo` shows in a terminal while the report is half done becomes the picture.
"""

import os
import pty
import re
import struct
import subprocess
import tempfile
import time
from fcntl import ioctl
from itertools import groupby
from pathlib import Path
from termios import TIOCSWINSZ

import pyte
from cookiecutter.main import cookiecutter
from pyte.screens import Char
from rich.console import Console
from rich.text import Text

TEMPLATE = Path(__file__).resolve().parent.parent
COLUMNS, LINES = 88, 24


def run_in_terminal(command: list[str], cwd: Path) -> list[Text]:
    """Run a command in a terminal, and return the screen after each of its writes."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execvpe(command[0], command, {**os.environ, "TERM": "xterm-256color"})  # noqa: S606
    ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    screen = pyte.Screen(COLUMNS, LINES)
    stream, frames = pyte.ByteStream(screen), []
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the command has ended
            break
        stream.feed(data)
        frames.append(colored(screen))
    os.waitpid(pid, 0)
    return frames


def colored(screen: pyte.Screen) -> Text:
    """Return the lines of a screen, with their styles."""
    text = Text()
    for number in range(LINES):
        cells = [screen.buffer[number][column] for column in range(COLUMNS)]
        for style, run in groupby(cells, style_of):
            text.append("".join(cell.data for cell in run), style)
        text.append("\n")
    return text


def style_of(cell: Char) -> str:
    """Return a cell's style, as a name that rich knows."""
    color = f"#{cell.fg}" if re.fullmatch(r"[0-9a-f]{6}", cell.fg) else cell.fg.replace("brown", "yellow")
    return f"bold {color}" if cell.bold else color


def main() -> None:
    """Generate a project, run it, and draw its output."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=folder))
        subprocess.run(["make", "install"], cwd=project, check=True)
        log = project / "dev.log"
        with log.open("wb") as output:
            workers = subprocess.Popen(["make", "dev"], cwd=project, stdout=output, stderr=output)
        try:
            while "ready: " not in log.read_text("utf-8"):
                time.sleep(0.2)
            frames = run_in_terminal(["make", "demo"], project)
        finally:
            workers.terminate()
            workers.wait()
    half_done = [frame for frame in frames if "adding up" in frame.plain and "succeeded" in frame.plain]
    frame = half_done[-1]
    frame.rstrip()
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text("$ ", style="bold"), frame, sep="")
    picture = console.export_svg(title="my-celery-project", unique_id="demo")
    # Without this, the font would be loaded from another server.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    (TEMPLATE / "docs" / "demo.svg").write_text(picture, "utf-8")


if __name__ == "__main__":
    main()
