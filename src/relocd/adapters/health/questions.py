"""What probes send and how they read the answer: HTTP/1.1, DNS and NTP. Pure.

Only as much of each protocol as it takes to know that the service answers.
"""

from __future__ import annotations

import re
import secrets
import struct
from dataclasses import dataclass
from typing import Final, Self

from relocd import __version__
from relocd.model.health import HttpRequest

__all__ = ["DnsQuestion", "NtpQuestion", "http_request", "http_status"]

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r\n]")

_DNS_HEADER: Final = struct.Struct("!HHHHHH")
_QUERY: Final = 0x0100  # recursion desired
_IS_ANSWER: Final = 0x8000
# The version of the server, in the class CHAOS: it answers that itself, whatever it serves and whomever it asks.
_VERSION: Final = b"\x07version\x04bind\x00" + struct.pack("!HH", 16, 3)
_DNS_TROUBLE: Final = {1: "FORMERR", 2: "SERVFAIL"}

_NTP_BYTES: Final = 48
_NTP_CLIENT: Final = 0x23  # version 4, mode 3 (RFC 5905, section 7.3)
_UNSYNCHRONIZED: Final = 3
_SERVER: Final = 4


def http_request(request: HttpRequest) -> bytes:
    """A request after which the server closes the connection (RFC 9112, section 9.6)."""
    lines = (
        f"GET {request.target} HTTP/1.1",
        f"Host: {request.host}",
        f"User-Agent: relocd/{__version__} (health check)",
        "Accept: */*",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def http_status(line: bytes) -> int:
    """The status in a status line (RFC 9112, section 4); raises `ValueError` for anything else."""
    found = _STATUS_LINE.match(line)
    if found is None:
        raise ValueError("does not answer in HTTP/1.1")
    return int(found[1])


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """A query (RFC 1035, section 4) with an id of its own."""

    id: int

    @classmethod
    def random(cls) -> Self:
        """One whose id nobody can guess."""
        return cls(secrets.randbits(16))

    @property
    def message(self) -> bytes:
        """The datagram to send."""
        return _DNS_HEADER.pack(self.id, _QUERY, 1, 0, 0, 0) + _VERSION

    def refusal(self, answer: bytes) -> str:
        """Why an answer does not count; empty for one that says that the server works, also if it has no such name."""
        if len(answer) < _DNS_HEADER.size:
            return "does not answer in DNS"
        found, flags, *_ = _DNS_HEADER.unpack_from(answer)
        if found != self.id or not flags & _IS_ANSWER:
            return "does not answer the question"
        code = _DNS_TROUBLE.get(flags & 0xF)
        return f"answers with {code}" if code else ""


@dataclass(frozen=True, slots=True)
class NtpQuestion:
    """A client's packet (RFC 5905, section 7.3); its time stamp is random, for only its copy matters."""

    stamp: bytes

    @classmethod
    def random(cls) -> Self:
        """One whose time stamp nobody can guess."""
        return cls(secrets.token_bytes(8))

    @property
    def message(self) -> bytes:
        """The datagram to send."""
        return bytes((_NTP_CLIENT,)) + bytes(39) + self.stamp

    def refusal(self, answer: bytes) -> str:
        """Why an answer does not count; empty for one that a client would set its clock by."""
        if len(answer) < _NTP_BYTES or answer[0] & 7 != _SERVER:
            return "does not answer in NTP"
        if answer[24:32] != self.stamp:
            return "does not answer the question"
        if answer[0] >> 6 == _UNSYNCHRONIZED or not 1 <= answer[1] <= 15:
            return "answers that its clock is not synchronized"
        return ""
