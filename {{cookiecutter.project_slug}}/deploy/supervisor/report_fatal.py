"""An event listener that reports programs which supervisor has given up because they do not start.

It writes a line to standard error. If `ALERT_COMMAND` is set, it is run with that line as its last
argument. http://supervisord.org/events.html
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys


def tokens(line: str) -> dict[str, str]:
    """Return the pairs of a header, or of the first line of a payload."""
    return dict(pair.split(":", 1) for pair in line.split())


def report(sentence: str) -> None:
    """Write a sentence to standard error, and pass it to `ALERT_COMMAND`."""
    print(sentence, file=sys.stderr, flush=True)
    if command := shlex.split(os.environ.get("ALERT_COMMAND", "")):
        try:
            # Its output must not reach supervisor, which reads our standard output.
            subprocess.run([*command, sentence], stdout=sys.stderr, timeout=60, check=True)  # noqa: S603
        except (OSError, subprocess.SubprocessError) as error:
            print(f"ALERT_COMMAND failed: {error}", file=sys.stderr, flush=True)


def main() -> None:
    """Answer supervisor until it closes our standard input."""
    while True:
        print("READY", flush=True)
        if not (header := sys.stdin.readline()):
            return
        payload = sys.stdin.read(int(tokens(header)["len"]))
        program = tokens(payload.splitlines()[0])["processname"]
        report(f"{program} is FATAL: supervisor has stopped trying to start it; see its log")
        print("RESULT 2\nOK", end="", flush=True)


if __name__ == "__main__":
    main()
