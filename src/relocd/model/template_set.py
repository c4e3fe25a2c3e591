"""A template set: what its manifest says about files, units, commands, parameters and secrets, as values.

The manifest is read by `relocd.adapters.templates.manifest`; what the values mean in order is decided in
`relocd.reconcile`. In a pattern of a parameter `{ipv4}`, `{ipv6}`, `{ip}`, `{network}`, `{port}`, `{domain}` and
`{host}` stand for a whole one of these. `refusal` is the one check of every value that reaches a template. Only
Python's own modules are imported here: the process that renders imports this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final

from relocd.model.health import HealthSpec

__all__ = [
    "UNDECLARED",
    "WORDS",
    "Command",
    "Declared",
    "FileSpec",
    "First",
    "Moment",
    "Role",
    "Scope",
    "TemplateSet",
    "UnitAction",
    "UnitSpec",
    "compiled",
    "refusal",
]


class Role(StrEnum):
    """The role of a server for a service."""

    ACTIVE = "active"
    STANDBY = "standby"


class Scope(StrEnum):
    """How a set is rendered: once for each linked service, or once for the server with all its services."""

    SERVICE = "service"
    SERVER = "server"


class UnitAction(StrEnum):
    """What is done to a unit when its service becomes active, leaves, or has changed files."""

    START = "start"
    STOP = "stop"
    RELOAD = "reload"
    RESTART = "restart"
    NONE = "none"


class Moment(StrEnum):
    """When a command of a manifest runs."""

    ACTIVATE = "activate"
    STANDBY = "standby"
    CHANGE = "change"


class First(StrEnum):
    """What is stopped first when a service leaves."""

    UNITS = "units"
    ADDRESSES = "addresses"


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One file: `source` below the set's folder, `target` absolute and possibly with `{name}` in it.

    `checks` are argument lists in which `{file}` stands for the new file before it replaces the old one. No line may
    have more than `max_line` bytes: a program may read the rest of a longer one as a line of its own.
    """

    source: str
    target: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o640
    roles: frozenset[Role] = frozenset({Role.ACTIVE})
    checks: tuple[tuple[str, ...], ...] = ()
    max_line: int | None = None


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """One unit, its name possibly with `{name}` in it, and what happens to it in each role.

    An `early` one is started before the addresses are raised and stopped after they are dropped.
    """

    name: str
    active: UnitAction = UnitAction.START
    standby: UnitAction = UnitAction.STOP
    removed: UnitAction = UnitAction.STOP
    change: UnitAction = UnitAction.RESTART
    early: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """An argument list run at one moment; never a shell."""

    when: Moment
    run: tuple[str, ...]
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class TemplateSet:
    """One folder of templates with its manifest; `digest` changes with any file of the folder.

    A `closed` one accepts only the parameters and secrets that it declares. Only one that `reads_services` is shown the
    other services of the server.
    """

    name: str
    folder: Path
    digest: str
    description: str = ""
    scope: Scope = Scope.SERVICE
    first: First = First.UNITS
    files: tuple[FileSpec, ...] = ()
    units: tuple[UnitSpec, ...] = ()
    commands: tuple[Command, ...] = ()
    health: tuple[HealthSpec, ...] = ()
    check_timeout_s: float = 10.0
    parameters: tuple[Declared, ...] = ()
    secrets: tuple[Declared, ...] = ()
    closed: bool = False
    reads_services: bool = True


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
"""The words of patterns and what they stand for."""
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
"""The bounds of every value that is not declared."""


def refusal(value: str, bounds: Declared) -> str:
    """Why a value is out of bounds, as the rest of a sentence that does not show it; empty when it is within."""
    if value == bounds.default:
        return ""
    if (_CONTROL_BUT_LINES if bounds.multiline else _CONTROL).search(value):
        return "has a line break or another control character; remove it"
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
    """A pattern with its words replaced; raises `re.error` for a malformed one."""
    return re.compile(_WORD.sub(lambda found: WORDS[found[1]], pattern))
