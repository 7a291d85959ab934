"""Values as a log line may show them: without secrets, of limited size, and always as JSON.

A value is redacted by the name it has (`password=...`) and by what it looks like (a URL with a
password, a token, the number of a card). That is a safety net: it cannot know every secret.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

#: What stands for a secret.
HIDDEN = "***"

#: Names of secrets, as parts of a name in any spelling: `api_key`, `X-Api-Key`, `apiKey`.
NAMES = re.compile(
    r"pass(?:word|wd|phrase)|secret|token|authorization|api[-_]?key|private[-_]?key|access[-_]?key"
    r"|cookie|credential|session[-_]?id|signature|\bcvv\b|\bcvc\b|\bpin\b|card[-_]?number"
    r"|\bdsn\b",
    re.IGNORECASE,
)

#: What any secret below has, so that most texts need only one search.
SUSPICIOUS = re.compile(
    r"://[^/\s]*@|eyJ|\d{4}[ -]?\d{4}|(?i:bearer |basic |-----BEGIN|pass|secret|token|key|sk_"
    r"|sk-|gh[opsu]_|github_pat|AKIA|xox|authorization|cookie|credential)"
)

#: Secrets in texts, and what replaces them.
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # The password, or the token, of a URL.
    (re.compile(r"(://)[^/\s@]*@"), rf"\1{HIDDEN}@"),
    # https://www.rfc-editor.org/rfc/rfc6750 and https://www.rfc-editor.org/rfc/rfc7617
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    # JSON Web Tokens: https://www.rfc-editor.org/rfc/rfc7519
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), HIDDEN),
    # Keys of Stripe, GitHub, Slack, AWS and OpenAI.
    (
        re.compile(
            r"\b(?:[sr]k_(?:live|test)_\w{8,}|gh[opsu]_\w{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}"
            r"|AKIA[A-Z0-9]{16}|sk-[\w-]{20,})"
        ),
        HIDDEN,
    ),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL),
        HIDDEN,
    ),
    # `password=...`, `'api_key': '...'`, `Cookie: ...`
    (
        re.compile(
            r"(?i)((?:pass(?:word|wd|phrase)?|secret|token|authorization|api[-_]?key|access[-_]?key"
            r"|private[-_]?key|cookie|credentials?)\w*['\"]?\s*[=:]\s*)"
            r"(?:'[^']*'|\"[^\"]*\"|(?!\*\*\*)[^\s,;&)}\]]+)"
        ),
        rf"\1{HIDDEN}",
    ),
)

#: 13 to 16 digits, perhaps in groups, of which the first name a kind of card.
CARD = re.compile(r"\b(?:[3-6]\d|2[2-7])(?:[ -]?\d){11,14}\b")

#: How much of a value is shown.
LONGEST_TEXT = 20_000
MOST_ITEMS = 100
DEEPEST = 6


def text(value: str) -> str:
    """Return a text without secrets."""
    if len(value) > LONGEST_TEXT:
        value = f"{value[:LONGEST_TEXT]}... ({len(value)} characters)"
    if not SUSPICIOUS.search(value):
        return value
    for pattern, replacement in PATTERNS:
        value = pattern.sub(replacement, value)
    return CARD.sub(hide_card, value)


def hide_card(match: re.Match[str]) -> str:
    """Return what stands for the number of a card; other long numbers stay."""
    return HIDDEN if is_card(match[0]) else match[0]


def is_card(number: str) -> bool:
    """Whether the last digit of a number is the check digit of cards (ISO/IEC 7812-1)."""
    digits = [int(character) for character in number if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_secret(name: str) -> bool:
    """Whether a name says that its value is a secret."""
    return NAMES.search(name) is not None


def shown(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON can hold it, without secrets; it never raises an error."""
    if value is None or isinstance(value, bool):
        return value
    if type(value) is int:
        return value if not is_card_number(value) else HIDDEN
    if type(value) is float:
        return value if math.isfinite(value) else str(value)
    if type(value) is str:
        return text(value)
    try:
        if depth < DEEPEST:
            if isinstance(value, Mapping):
                return dict(pairs(value, depth))
            if isinstance(value, list | tuple | set | frozenset):
                return items(value, depth)
        return text(value if isinstance(value, str) else repr(value))
    except Exception as error:  # of a class of the caller's
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def is_card_number(number: int) -> bool:
    """Whether a number is that of a card."""
    digits = str(number) if 10**12 <= number < 10**16 else ""
    return CARD.fullmatch(digits) is not None and is_card(digits)


def pairs(value: Mapping[Any, Any], depth: int) -> Iterable[tuple[str, Any]]:
    """Yield the names and values of a mapping."""
    for position, (key, item) in enumerate(value.items()):
        if position == MOST_ITEMS:
            yield "...", f"{len(value)} in all"
            return
        name = text(key) if type(key) is str else str(shown(key, DEEPEST))
        yield name, HIDDEN if is_secret(name) and item is not None else shown(item, depth + 1)


def items(value: Iterable[Any], depth: int) -> list[Any]:
    """Return the items of a list, a tuple or a set."""
    result = []
    for position, item in enumerate(value):
        if position == MOST_ITEMS:
            result.append("...")
            break
        result.append(shown(item, depth + 1))
    return result
