"""BER (X.690, section 8.1) as far as LDAP messages need it here: elements of one tag octet and a definite length.

A general ASN.1 library takes longer to import, and longer for each element, than all that is done here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from relocd.errors import Invalid

__all__ = ["ENUMERATED", "INTEGER", "OCTETS", "SEQUENCE", "SET", "elements", "encoded", "span"]

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
