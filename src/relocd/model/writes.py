"""Writes to the directory and their outcomes, as values.

A modification is one LDAP modify (RFC 4511, section 4.6): all of its changes, in order, or none. That makes a
compare-and-swap: delete the value that was read and add the new one. It changes nothing where another write was faster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    """Add values; lost where one exists, or where a single-valued attribute has another."""

    attribute: str
    values: tuple[bytes, ...]

    def __post_init__(self) -> None:
        _require_values(self)

    def __str__(self) -> str:
        return f"add {self.attribute}"


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete values; lost where one does not exist.

    In LDAP a delete without values deletes all of them and compares nothing: here that is a `Replace` with no values.
    """

    attribute: str
    values: tuple[bytes, ...]

    def __post_init__(self) -> None:
        _require_values(self)

    def __str__(self) -> str:
        return f"delete {self.attribute}"


@dataclass(frozen=True, slots=True)
class Replace:
    """Set the values whatever the old ones are; with none, clear the attribute.

    Never lost: in an agreement between servers it needs an assertion of the old values.
    """

    attribute: str
    values: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        return f"replace {self.attribute}"


@dataclass(frozen=True, slots=True)
class Increment:
    """Add to an integer, whatever it is (RFC 4525); lost where there is none."""

    attribute: str
    by: int = 1

    def __str__(self) -> str:
        return f"increment {self.attribute}"


Change = Add | Delete | Replace | Increment


@dataclass(frozen=True, slots=True)
class Modification:
    """Changes of one entry, all or none; with an assertion only where that filter matches the entry (RFC 4528)."""

    dn: DN
    changes: tuple[Change, ...]
    assertion: str | None = None

    def __post_init__(self) -> None:
        if not self.changes:
            raise ValueError(f"a modification of {self.dn} that changes nothing")

    def __str__(self) -> str:
        """The changes, for a message; without values."""
        condition = f" if {self.assertion}" if self.assertion else ""
        return f"modify {self.dn}: {', '.join(map(str, self.changes))}{condition}"


def swap(attribute: str, old: bytes | None, new: bytes | None) -> tuple[Change, ...]:
    """The compare-and-swap of a single-valued attribute; None is no value."""
    deleted = () if old is None else (Delete(attribute, (old,)),)
    added = () if new is None else (Add(attribute, (new,)),)
    return (*deleted, *added)


class Conflict(StrEnum):
    """How the entry differs from what a write expects: result codes of RFC 4511 and RFC 4528 by name."""

    ASSERTION_FAILED = "assertionFailed"
    CONSTRAINT_VIOLATION = "constraintViolation"
    NO_SUCH_ATTRIBUTE = "noSuchAttribute"
    NO_SUCH_OBJECT = "noSuchObject"
    VALUE_EXISTS = "attributeOrValueExists"


@dataclass(frozen=True, slots=True)
class Done:
    """The server has confirmed the write."""


@dataclass(frozen=True, slots=True)
class Exists:
    """Nothing was created: an entry of that name exists."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Nothing was written: the entry is not as the write expects, because another write was faster."""

    conflict: Conflict
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It was sent, and whether it is written is unknown: read before trying anything else.

    A read that does not show it proves nothing: a slapd that hung carries out its queued requests when it continues,
    reads and writes in any order. Only a later write that is answered rules it out: one that removes the value that
    this one compares with, or one that is lost by a value that never comes back, such as the generation.

    `sent_at` is when it was sent, of the monotonic clock; None where that is not known, so that it may be just now.
    """

    reason: str
    sent_at: float | None = field(default=None, compare=False)


Outcome = Done | Exists | Lost | Unknown


def _require_values(change: Add | Delete) -> None:
    if not change.values:
        raise ValueError(f"{change}: no values; only Replace may have none")
