"""The parameters and secrets that a template set declares, and the one bound on every value that reaches a template.

In a pattern `{ipv4}`, `{ipv6}`, `{ip}`, `{network}`, `{port}`, `{domain}` and `{host}` stand for a whole one of these.
Only Python's own modules are imported here: the process that renders imports this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

__all__ = ["UNDECLARED", "WORDS", "Declared", "compiled", "refusal"]

_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = rf"(?:{_OCTET}(?:\.{_OCTET}){{3}})"
_GROUP: Final = "[0-9A-Fa-f]{1,4}"


def _ipv6() -> str:
    """RFC 4291, section 2.2, without the form that ends in an IPv4 address: eight groups, or `::` for one or more."""
    more = f"(?::{_GROUP})"
    begun = [f"{_GROUP}{more}{{{left - 1}}}::(?:{_GROUP}{more}{{0,{6 - left}}})?" for left in range(1, 7)]
    forms = [f"{_GROUP}{more}{{7}}", f"::(?:{_GROUP}{more}{{0,6}})?", *begun, f"(?:{_GROUP}:){{7}}:"]
    return f"(?:{'|'.join(forms)})"


_IPV6: Final = _ipv6()
_LABEL: Final = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_END: Final = "(?![A-Za-z0-9_.-])"
# Nothing that looks like an IPv4 address, and no more than a name may have (RFC 1035, section 2.3.4).
_DOMAIN: Final = rf"(?:(?![0-9.]+{_END})(?=[A-Za-z0-9_.-]{{1,253}}{_END}){_LABEL}(?:\.{_LABEL})*)"
WORDS: Final = {
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "ip": f"(?:{_IPV4}|{_IPV6})",
    "network": f"(?:{_IPV4}/(?:3[0-2]|[12]?[0-9])|{_IPV6}/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))",
    "port": "(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})",
    "domain": _DOMAIN,
    "host": f"(?:{_IPV4}|{_IPV6}|{_DOMAIN})",
}
"""What stands for what in a pattern."""
_WORD: Final = re.compile(r"\{(" + "|".join(WORDS) + r")\}")
_CONTROL: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES: Final = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter or secret of a template set: the whole value matches `pattern`, in at most `max_length` bytes.

    With `several` it is one or more values between single spaces, each of which matches. Only a `multiline` one may
    have line breaks and tabs, and none any other control character. The default is always allowed.
    """

    name: str
    pattern: str
    max_length: int
    help: str = ""
    default: str | None = None
    required: bool = False
    several: bool = False
    multiline: bool = False


UNDECLARED: Final = Declared("", "", 4096)
"""The bounds of everything else that a template sees."""


def refusal(value: str, bounds: Declared) -> str:
    """Why a value is out of bounds, as the end of a sentence that does not show it; empty where it is not."""
    if value == bounds.default:
        return ""
    if (_CONTROL_BUT_LINES if bounds.multiline else _CONTROL).search(value):
        return "has a line break or another control character; take it out"
    size = len(value.encode())
    if size > bounds.max_length:
        return f"has {size} bytes, and {bounds.max_length} are allowed; shorten it"
    if bounds.pattern and not all(map(compiled(bounds.pattern).fullmatch, _values(value, bounds))):
        each = "has a value between single spaces that does" if bounds.several else "does"
        return f"{each} not match {bounds.pattern}" + (f" ({bounds.help})" if bounds.help else "")
    return ""


def _values(value: str, bounds: Declared) -> Sequence[str]:
    return value.split(" ") if bounds.several else (value,)


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern with its words; raises `re.error` for one that is none."""
    return re.compile(_WORD.sub(lambda found: WORDS[found[1]], pattern))
