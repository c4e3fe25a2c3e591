"""Writes to the directory and what became of them, as values.

A modification is one LDAP modify (RFC 4511, section 4.6): all of its changes, in order, or none. So it compares and
swaps: it deletes the value it believes in and adds the new one, and changes nothing when somebody was faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from relocd.model.dn import DN

__all__ = [
    "Add",
    "Change",
    "Conflict",
    "Delete",
    "Done",
    "Exists",
    "Increment",
    "Lost",
    "Modification",
    "Outcome",
    "Replace",
    "Unknown",
    "swap",
]


@dataclass(frozen=True, slots=True)
class Add:
    """Add values; lost when one is there, or when an attribute of a single value has another."""

    attribute: str
    values: tuple[bytes, ...]

    def __post_init__(self) -> None:
        _require_values(self)

    def __str__(self) -> str:
        return f"add {self.attribute}"


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete values; lost when one is not there.

    Without values LDAP deletes whatever there is, which compares nothing: that is `Replace` with no values.
    """

    attribute: str
    values: tuple[bytes, ...]

    def __post_init__(self) -> None:
        _require_values(self)

    def __str__(self) -> str:
        return f"delete {self.attribute}"


@dataclass(frozen=True, slots=True)
class Replace:
    """Set the values whatever was there; with none, clear the attribute.

    Never lost, so never for what is agreed on without an assertion that says what was there.
    """

    attribute: str
    values: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        return f"replace {self.attribute}"


@dataclass(frozen=True, slots=True)
class Increment:
    """Add to the integer that is there, whatever it is (RFC 4525); lost when there is none."""

    attribute: str
    by: int = 1

    def __str__(self) -> str:
        return f"increment {self.attribute}"


Change = Add | Delete | Replace | Increment


@dataclass(frozen=True, slots=True)
class Modification:
    """Changes of one entry, all or none; with an assertion only if that filter matches the entry (RFC 4528)."""

    dn: DN
    changes: tuple[Change, ...]
    assertion: str | None = None

    def __post_init__(self) -> None:
        if not self.changes:
            raise ValueError(f"a modification of {self.dn} that changes nothing")

    def __str__(self) -> str:
        """What it does, for a message; without the values."""
        condition = f" if {self.assertion}" if self.assertion else ""
        return f"modify {self.dn}: {', '.join(map(str, self.changes))}{condition}"


def swap(attribute: str, old: bytes | None, new: bytes | None) -> tuple[Change, ...]:
    """The compare-and-swap of an attribute of a single value, None being no value."""
    deleted = () if old is None else (Delete(attribute, (old,)),)
    added = () if new is None else (Add(attribute, (new,)),)
    return (*deleted, *added)


class Conflict(StrEnum):
    """How the entry differs from what a write went by: the result codes of RFC 4511 and RFC 4528, by their names."""

    ASSERTION_FAILED = "assertionFailed"
    CONSTRAINT_VIOLATION = "constraintViolation"
    NO_SUCH_ATTRIBUTE = "noSuchAttribute"
    NO_SUCH_OBJECT = "noSuchObject"
    VALUE_EXISTS = "attributeOrValueExists"


@dataclass(frozen=True, slots=True)
class Done:
    """The server says that it is written."""


@dataclass(frozen=True, slots=True)
class Exists:
    """Nothing is created: there is an entry of that name."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Nothing is written: the directory is not as the write expects, since somebody was faster."""

    conflict: Conflict
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It was sent, and nobody knows whether it is written: read before trying anything else.

    A read that does not show it is not the last word: a slapd that hung carries out what it finds in its queues when it
    wakes up, reads and writes in any order. Only a write that is answered after it and takes away what it compares with
    rules it out, or one that is lost by a value that never comes back: the generation is such a value.
    """

    reason: str


Outcome = Done | Exists | Lost | Unknown


def _require_values(change: Add | Delete) -> None:
    if not change.values:
        raise ValueError(f"{change}: no values; only Replace goes without")
