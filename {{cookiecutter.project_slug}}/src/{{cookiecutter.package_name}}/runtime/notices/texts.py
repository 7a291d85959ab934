"""The texts of notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..logs import redaction
from ..printable import one_line
from .place import Failures, Kind

#: How many kinds of failures one notice lists.
MOST = 20


def over(sentence: str) -> str:
    """Return a sentence that says that a problem is over."""
    return f"Over: {sentence}"


def notice(package: str, news: Sequence[str], told: Mapping[Kind, Failures]) -> tuple[str, str]:
    """Return the subject and the text of a notice.

    Args:
        package: The name of the project's package.
        news: Sentences about problems that have begun or ended.
        told: Failures to tell.
    """
    number = sum(failures.number for failures in told.values())
    tasks = sorted({kind.task for kind in told})
    parts = list(news[:1])
    if number:
        of = f" of {tasks[0]}" if len(tasks) == 1 else f" of {len(tasks)} tasks"
        parts.append(f"{number} failure{'s' if number > 1 else ''}{of}")
    subject = one_line(f"[{package}] {'; '.join(parts)}")
    lines = list(news)
    if number:
        lines += [*([""] if news else []), "Failed for good:"]
        ordered = sorted(told.items(), key=lambda each: -each[1].number)
        for kind, failures in ordered[:MOST]:
            lines += described(package, kind, failures)
        if len(ordered) > MOST:
            left = sum(failures.number for _, failures in ordered[MOST:])
            lines.append(f"- {left} more, of {len(ordered) - MOST} other kinds")
        lines += ["", f"All of them: celery -A {package} dead-letters list"]
    return redaction.text(subject), "\n".join(map(redaction.text, lines))


def described(package: str, kind: Kind, failures: Failures) -> list[str]:
    """Return what a notice says about one kind of failures."""
    cause = one_line(
        f"{kind.error}: {failures.text}" if failures.text else kind.error or kind.reason
    )
    return [
        f"- {failures.number} x {one_line(kind.task)} ({one_line(kind.reason)}): {cause}",
        f"  last: celery -A {package} dead-letters show {one_line(failures.letter)}",
    ]
