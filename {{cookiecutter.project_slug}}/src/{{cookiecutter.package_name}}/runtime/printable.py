r"""Text from elsewhere, such as the message of an error, in a form that is safe on a terminal.

Such text may hold control characters that move the cursor, change colours or a clipboard, or
characters that reverse the direction of writing. They are shown as escapes, such as `\x1b`.
"""

from __future__ import annotations

from kombu.utils.json import dumps


def one_line(value: object) -> str:
    """Return a value as one line; line breaks and other white space become single spaces."""
    return " ".join(map(escaped, str(value).split()))


def shortened(value: object, limit: int = 400) -> str:
    """Return a value as one line of at most so many characters, which ends after a word."""
    text = one_line(value)
    if len(text) <= limit:
        return text
    return f"{text[:limit].rpartition(' ')[0] or text[:limit]} ..."


def lines(text: str) -> list[str]:
    """Return the lines of a text."""
    return [escaped(line).rstrip() for line in text.expandtabs(4).splitlines()]


def escaped(text: str) -> str:
    """Return a text with plain spaces, and with escapes for characters that are not printable."""
    return "".join(map(shown, text))


def shown(character: str) -> str:
    """Return how a character is shown."""
    if character.isspace():
        return " "
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def to_json(value: object, indent: int | None = None) -> str:
    """Return a value as ASCII JSON; kombu's encoder knows dates, UUIDs and decimals."""
    # JSON escapes every other control character.
    return str(dumps(value, indent=indent)).replace("\x7f", "\\u007f")
