"""The controls and messages of RFC 4533, section 2, to and from BER (X.690, section 8.1).

Of BER there is what LDAP messages need: elements of one tag octet and a definite length (`encoded`, `elements`). A
refresh decodes a message for each entry of the directory, and a general ASN.1 library takes longer to import, and
longer for each element, than all that is done here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from uuid import UUID

from relocd.errors import Invalid
from relocd.model.entries import EntryUUID

__all__ = [
    "ENUMERATED",
    "INTEGER",
    "OCTETS",
    "SEQUENCE",
    "SET",
    "elements",
    "encoded",
    "span",
    "SYNC_INFO",
    "SYNC_REQUEST",
    "SYNC_STATE",
    "IdSet",
    "NewCookie",
    "PhaseEnd",
    "EntryState",
    "SyncInfo",
    "SyncState",
    "sync_info",
    "sync_request",
    "sync_state",
]

INTEGER: Final = 0x02
OCTETS: Final = 0x04
ENUMERATED: Final = 0x0A
SEQUENCE: Final = 0x30
SET: Final = 0x31
_LONG_FORM: Final = 0x80


def encoded(tag: int, *contents: bytes) -> bytes:
    """One element with its length in the short or long form; several contents are concatenated."""
    content = b"".join(contents)
    size = len(content)
    if size < _LONG_FORM:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, _LONG_FORM | len(octets))) + octets + content


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The consecutive elements in `data`, as tag and content; raises `Invalid` when one is cut short."""
    at = 0
    while at < len(data):
        start, end = span(data, at)
        if end > len(data):
            raise Invalid(f"a BER element is cut short: {data.hex()}")
        yield data[at], data[start:end]
        at = end


def span(data: bytes, at: int = 0) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends; the end is beyond the data while some is missing."""
    start, size = at + 2, int.from_bytes(data[at + 1 : at + 2])
    if size >= _LONG_FORM:
        start += size - _LONG_FORM
        size = int.from_bytes(data[at + 2 : start])
    return start, start + size


SYNC_REQUEST: Final = "1.3.6.1.4.1.4203.1.9.1.1"
SYNC_STATE: Final = "1.3.6.1.4.1.4203.1.9.1.2"
SYNC_INFO: Final = "1.3.6.1.4.1.4203.1.9.1.4"

_BOOLEAN: Final = 0x01
_NEW_COOKIE: Final = 0x80
_REFRESH_DELETE: Final = 0xA1
_REFRESH_PRESENT: Final = 0xA2
_ID_SET: Final = 0xA3
_REFRESH_ONLY: Final = b"\x01"
_REFRESH_AND_PERSIST: Final = b"\x03"


class EntryState(IntEnum):
    """What the control of an entry says about it (section 2.2)."""

    PRESENT = 0
    ADD = 1
    MODIFY = 2
    DELETE = 3


@dataclass(frozen=True, slots=True)
class SyncState:
    """The Sync State control of one entry (section 2.2)."""

    state: EntryState
    uuid: EntryUUID
    cookie: str | None


@dataclass(frozen=True, slots=True)
class NewCookie:
    """A new cookie and nothing else (section 2.5)."""

    cookie: str


@dataclass(frozen=True, slots=True)
class PhaseEnd:
    """The end of a phase of the refresh: with `deletes` the delete phase, else the present phase."""

    deletes: bool
    refresh_done: bool
    cookie: str | None


@dataclass(frozen=True, slots=True)
class IdSet:
    """A set of entries that are gone (`deletes`) or that exist unchanged."""

    deletes: bool
    uuids: tuple[EntryUUID, ...]
    cookie: str | None


SyncInfo = NewCookie | PhaseEnd | IdSet


def sync_request(cookie: str, *, persist: bool = True) -> bytes:
    """The value of a Sync Request control (section 2.2): refreshAndPersist or refreshOnly; an empty cookie is none."""
    mode = encoded(ENUMERATED, _REFRESH_AND_PERSIST if persist else _REFRESH_ONLY)
    return encoded(SEQUENCE, mode, encoded(OCTETS, cookie.encode()) if cookie else b"")


def sync_state(value: bytes) -> SyncState:
    """The meaning of a Sync State control's value; raises `Invalid` for anything else."""
    found = list(elements(_only(value, SEQUENCE)))
    try:
        (state_tag, state), (uuid_tag, uuid), *rest = found
        known = EntryState(int.from_bytes(state))
    except ValueError as error:
        raise Invalid(f"a Sync State control is malformed: {value.hex()}") from error
    if (state_tag, uuid_tag) != (ENUMERATED, OCTETS):
        raise Invalid(f"a Sync State control is malformed: {value.hex()}")
    return SyncState(known, _uuid(uuid), _cookie(rest))


def sync_info(value: bytes) -> SyncInfo:
    """The meaning of a Sync Info message's value (section 2.5); raises `Invalid` for anything else."""
    kind, content = next(elements(value), (0, b""))
    if kind == _NEW_COOKIE:
        return NewCookie(_text(content))
    if kind not in {_REFRESH_DELETE, _REFRESH_PRESENT, _ID_SET}:
        raise Invalid(f"a Sync Info message is malformed: {value.hex()}")
    found = list(elements(content))
    flag = next((octets != b"\0" for tag, octets in found if tag == _BOOLEAN), None)
    if kind == _ID_SET:
        return IdSet(bool(flag), _uuids(found), _cookie(found))
    return PhaseEnd(kind == _REFRESH_DELETE, flag is not False, _cookie(found))


def _uuids(found: list[tuple[int, bytes]]) -> tuple[EntryUUID, ...]:
    sets = [octets for tag, octets in found if tag == SET]
    return tuple(_uuid(octets) for content in sets for _, octets in elements(content))


def _uuid(octets: bytes) -> EntryUUID:
    try:
        return EntryUUID(str(UUID(bytes=octets)))
    except ValueError as error:
        raise Invalid(f"an entryUUID has {len(octets)} octets, not 16") from error


def _cookie(found: list[tuple[int, bytes]]) -> str | None:
    return next((_text(octets) for tag, octets in found if tag == OCTETS), None)


def _text(octets: bytes) -> str:
    """A cookie as text; octets that are not ASCII become escapes, which `SyncCookie.parse` refuses."""
    return octets.decode("ascii", errors="backslashreplace")


def _only(value: bytes, tag: int) -> bytes:
    found, content = next(elements(value), (0, b""))
    if found != tag:
        raise Invalid(f"expected the tag {tag:#x} in {value.hex()}")
    return content
