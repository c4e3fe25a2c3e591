"""The output of programs without secrets: the one way from raw output to a log, a status or an error line.

An adapter puts raw output into `RelocdError.words` and never into the message. `told` first masks it, then makes it
printable and cuts it: a secret that was cut, or whose tab became a space, would no longer be found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from relocd.errors import RelocdError
from relocd.printable import one_line

__all__ = ["MASK", "SHORTEST", "holds", "masked", "told"]

MASK: Final = "********"
SHORTEST: Final = 4
"""Characters. A shorter secret cannot be masked: the positions of the masks would reveal it."""
_SHOWN_LINES: Final = 8
_SHOWN_CHARACTERS: Final = 1000


def told(error: RelocdError, secrets: Sequence[str] | None) -> str:
    """An error with the last lines of the program's output, on one line; `secrets` is None where they are unknown."""
    message = masked(str(error), secrets or ())
    if not error.words.strip():
        return message
    if secrets is None:
        return f"{message}; its output is not shown, because the secrets of the service are no longer known here"
    if any(0 < len(secret.strip()) < SHORTEST for secret in secrets):
        return f"{message}; its output is not shown, because a secret of the service is shorter than {SHORTEST} letters"
    return f"{message}: {_brief(masked(error.words, secrets))}"


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text without any secret, line of a secret, or beginning of a secret at its end."""
    forms = _forms(secrets)
    if not forms:
        return text
    text = _pattern(forms).sub(MASK, text)
    return next((text[:-length] + MASK for length in _cut(text.rstrip(), forms)), text)


def holds(text: str, secrets: Iterable[str]) -> bool:
    """Whether a text has a secret, also a short one, or a line of a secret."""
    secrets = tuple(secrets)
    forms = _forms(secrets)
    return any(secret in text for secret in secrets if secret) or bool(forms and _pattern(forms).search(text))


def _forms(secrets: Iterable[str]) -> list[str]:
    """The forms in which programs print secrets: whole, by lines, quoted as JSON, TOML or Python; longest first."""
    found = {form.strip() for secret in secrets for form in _printed(secret)}
    return sorted((form for form in found if len(form) >= SHORTEST), key=lambda form: (-len(form), form))


def _printed(secret: str) -> Iterator[str]:
    yield from (secret, *secret.splitlines(), json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield repr(secret)[1:-1]


def _pattern(forms: Iterable[str]) -> re.Pattern[str]:
    """A pattern of any of the forms, with any whitespace between its words."""
    return re.compile("|".join(r"\s+".join(map(re.escape, form.split())) for form in forms))


def _cut(text: str, forms: Iterable[str]) -> Iterator[int]:
    """How many characters at the end of a text begin a form, as when a program is killed while it writes."""
    for form in forms:
        longest = min(len(form), len(text))
        yield from (length for length in range(longest, SHORTEST - 1, -1) if text.endswith(form[:length]))


def _brief(text: str) -> str:
    """The last lines on one line."""
    lines = [line for line in text.splitlines() if line.strip()]
    shown = " | ".join(one_line(line.strip()) for line in lines[-_SHOWN_LINES:])
    return shown if len(shown) <= _SHOWN_CHARACTERS else "... " + shown[-_SHOWN_CHARACTERS:].partition(" ")[2]
