"""The slapd of this machine over its socket, with nothing but the standard library: cn=config read and changed by root.

`relocd-openldap` is started several times in a failover, and importing any of Python's LDAP libraries takes longer
(50 ms) than all that it has to do. So the four operations that it needs are encoded here (RFC 4511, in the BER of its
section 5.1): bind by SASL EXTERNAL, search, modify, add. Whatever else talks to slapd uses `relocd.slapd.connection`.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from itertools import count
from typing import Final

from relocd.errors import Failed, Unavailable
from relocd.slapd.changes import Add, Change, Values
from relocd.slapd.config import Config, ConfigEntry

__all__ = ["SOCKET", "LocalConfig", "local_config"]

SOCKET: Final = "/run/slapd/ldapi"
"""Where Debian's slapd listens."""
_TIMEOUT_S: Final = 10.0
_CLASSES: Final = ("olcGlobal", "olcModuleList", "olcDatabaseConfig", "olcOverlayConfig")

_INTEGER, _OCTETS, _ENUM, _SEQUENCE, _SET = 0x02, 0x04, 0x0A, 0x30, 0x31
_BIND, _SEARCH, _ENTRY, _MODIFY, _ADD = 0x60, 0x63, 0x64, 0x66, 0x68
_SASL, _OR, _EQUAL = 0xA3, 0xA1, 0xA3
_SUBTREE: Final = 2
_MOD_ADD, _MOD_REPLACE = 0, 2


class LocalConfig:
    """cn=config of a bound connection."""

    def __init__(self, path: str, connection: socket.socket) -> None:
        self._uri = f"ldapi://{path}"
        self._connection = connection
        self._received = b""
        self._numbers = count(1)

    def bind(self) -> None:
        """As the user that runs this program: slapd asks the kernel who that is."""
        mechanism = _tlv(_SASL, _octets("EXTERNAL"), _octets(""))
        self._done("binding", _BIND, _number(_INTEGER, 3), _octets(""), mechanism)

    def read(self) -> Config:
        """All of cn=config but the schema; raises `Failed` when this identity may not read it."""
        either = _tlv(_OR, *(_tlv(_EQUAL, _octets("objectClass"), _octets(name)) for name in _CLASSES))
        limits = (_number(_ENUM, _SUBTREE), _number(_ENUM, 0), _number(_INTEGER, 0), _number(_INTEGER, 0))
        types_only = b"\x01\x01\x00"
        operation = (_octets("cn=config"), *limits, types_only, either, _tlv(_SEQUENCE))
        return Config(tuple(map(_entry, self._done("reading cn=config", _SEARCH, *operation))))

    def apply(self, change: Change) -> None:
        """Carry out one change; raises `Failed` when slapd refuses it."""
        doing = f"changing {change.dn} ({change.why})"
        if isinstance(change, Add):
            self._done(doing, _ADD, _octets(change.dn), _tlv(_SEQUENCE, *_attributes(change.attributes)))
            return
        lists = ((_MOD_REPLACE, change.replaced), (_MOD_ADD, change.added))
        parts = (_tlv(_SEQUENCE, _number(_ENUM, how), each) for how, values in lists for each in _attributes(values))
        self._done(doing, _MODIFY, _octets(change.dn), _tlv(_SEQUENCE, *parts))

    def _done(self, doing: str, operation: int, *parts: bytes) -> list[bytes]:
        """The entries that an operation found; raises `Failed` when its result is no success."""
        try:
            message = _tlv(_SEQUENCE, _number(_INTEGER, next(self._numbers)), _tlv(operation, *parts))
            self._connection.sendall(message)
            return self._answered(doing)
        except OSError as error:
            raise _silent(self._uri, doing, error) from error

    def _answered(self, doing: str) -> list[bytes]:
        entries: list[bytes] = []
        while True:
            _, (kind, body), *_ = _parts(self._message())
            if kind == _ENTRY:
                entries.append(body)
                continue
            (_, code), _, (_, text), *_ = _parts(body)
            if any(code):
                what = f"result {int.from_bytes(code, 'big')}: {text.decode(errors='replace')}".rstrip(": ")
                raise Failed(f"{self._uri} refuses {doing} ({what}); check its log and the rights of this identity")
            return entries

    def _message(self) -> bytes:
        """The body of the next message; raises `OSError` when the connection ends before it does."""
        while (end := _end(self._received)) is None or end > len(self._received):
            found = self._connection.recv(65536)
            if not found:
                raise ConnectionResetError("it has closed the connection")
            self._received += found
        whole, self._received = self._received[:end], self._received[end:]
        [(_, body)] = _parts(whole)
        return body


@contextmanager
def local_config(path: str) -> Iterator[LocalConfig]:
    """A connection to the socket at this path; raises `Unavailable` when nobody answers there."""
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(_TIMEOUT_S)
        try:
            connection.connect(path)
        except OSError as error:
            raise _silent(f"ldapi://{path}", "connecting", error) from error
        config = LocalConfig(path, connection)
        config.bind()
        yield config


def _silent(uri: str, doing: str, error: OSError) -> Unavailable:
    return Unavailable(f"{uri} does not answer, {doing} ({error}); check whether slapd runs")


def _entry(body: bytes) -> ConfigEntry:
    (_, dn), (_, attributes) = _parts(body)
    found: dict[str, tuple[str, ...]] = {}
    for _, attribute in _parts(attributes):
        (_, name), (_, values) = _parts(attribute)
        found[name.decode().lower()] = tuple(value.decode(errors="replace") for _, value in _parts(values))
    return ConfigEntry(dn.decode(), found)


def _attributes(values: Values) -> Iterator[bytes]:
    for name, texts in values.items():
        yield _tlv(_SEQUENCE, _octets(name), _tlv(_SET, *map(_octets, texts)))


def _octets(text: str) -> bytes:
    return _tlv(_OCTETS, text.encode())


def _number(tag: int, value: int) -> bytes:
    return _tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _tlv(tag: int, *parts: bytes) -> bytes:
    """Tag, length, value; the length in one byte or, from 128 on, in as many as it takes."""
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def _parts(data: bytes) -> Collection[tuple[int, bytes]]:
    """What follows one after the other in a value: tags and bodies."""
    found: list[tuple[int, bytes]] = []
    while data:
        start, end = _head(data), _end(data)
        found.append((data[0], data[start:end]))
        data = data[end:]
    return found


def _head(data: bytes) -> int:
    """The size of tag and length."""
    return 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)


def _end(data: bytes) -> int | None:
    """Where the first element ends, None while its length has not been received."""
    if len(data) < 2 or len(data) < _head(data):
        return None
    start = _head(data)
    return start + (data[1] if start == 2 else int.from_bytes(data[2:start], "big"))
