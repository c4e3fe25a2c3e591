"""The slapd of this machine over its socket, by the standard library alone: root reads and changes cn=config.

`relocd-openldap` is started several times in a failover. Importing an LDAP library takes 50 ms, longer than all its
work. So the four operations that it needs are encoded here (RFC 4511, section 4): bind by SASL EXTERNAL, search, modify
and add. Everything else uses `relocd.openldap.connection`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from typing import Final

from relocd.errors import Failed, Unavailable
from relocd.openldap.changes import AddEntry, ConfigChange, ConfigValues
from relocd.openldap.config import Config, ConfigEntry
from relocd.sync.messages import ENUMERATED, INTEGER, OCTETS, SEQUENCE, SET, elements, encoded, span

__all__ = ["SOCKET", "LocalConfig", "local_config"]

SOCKET: Final = "/run/slapd/ldapi"
"""The socket of Debian's slapd."""
_TIMEOUT_S: Final = 10.0
_CLASSES: Final = ("olcGlobal", "olcModuleList", "olcDatabaseConfig", "olcOverlayConfig")

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
        """Bind as the user that runs this program; slapd asks the kernel who that is."""
        mechanism = encoded(_SASL, _octets("EXTERNAL"), _octets(""))
        self._done("binding", _BIND, _number(INTEGER, 3), _octets(""), mechanism)

    def read(self) -> Config:
        """All of cn=config but the schema; raises `Failed` when this identity may not read it."""
        either = encoded(_OR, *(encoded(_EQUAL, _octets("objectClass"), _octets(name)) for name in _CLASSES))
        limits = (_number(ENUMERATED, _SUBTREE), _number(ENUMERATED, 0), _number(INTEGER, 0), _number(INTEGER, 0))
        types_only = b"\x01\x01\x00"
        operation = (_octets("cn=config"), *limits, types_only, either, encoded(SEQUENCE))
        return Config(tuple(map(_entry, self._done("reading cn=config", _SEARCH, *operation))))

    def apply(self, change: ConfigChange) -> None:
        """Carry out one change; raises `Failed` when slapd refuses it."""
        doing = f"changing {change.dn} ({change.why})"
        if isinstance(change, AddEntry):
            self._done(doing, _ADD, _octets(change.dn), encoded(SEQUENCE, *_attributes(change.attributes)))
            return
        lists = ((_MOD_REPLACE, change.replaced), (_MOD_ADD, change.added))
        parts = (
            encoded(SEQUENCE, _number(ENUMERATED, how), each) for how, values in lists for each in _attributes(values)
        )
        self._done(doing, _MODIFY, _octets(change.dn), encoded(SEQUENCE, *parts))

    def _done(self, doing: str, operation: int, *parts: bytes) -> list[bytes]:
        """Carry out an operation and return the entries found; raises `Failed` when its result is not success."""
        try:
            message = encoded(SEQUENCE, _number(INTEGER, next(self._numbers)), encoded(operation, *parts))
            self._connection.sendall(message)
            return self._answered(doing)
        except OSError as error:
            raise _silent(self._uri, doing, error) from error

    def _answered(self, doing: str) -> list[bytes]:
        entries: list[bytes] = []
        while True:
            _, (kind, body), *_ = elements(self._message())
            if kind == _ENTRY:
                entries.append(body)
                continue
            (_, code), _, (_, text), *_ = elements(body)
            if any(code):
                what = f"result {int.from_bytes(code, 'big')}: {text.decode(errors='replace')}".rstrip(": ")
                raise Failed(f"{self._uri} refuses {doing} ({what}); check its log and the rights of this identity")
            return entries

    def _message(self) -> bytes:
        """The body of the next message; raises `OSError` when the connection ends before that."""
        while (end := span(self._received)[1]) > len(self._received):
            found = self._connection.recv(65536)
            if not found:
                raise ConnectionResetError("slapd has closed the connection")
            self._received += found
        whole, self._received = self._received[:end], self._received[end:]
        [(_, body)] = elements(whole)
        return body


@contextmanager
def local_config(path: str) -> Iterator[LocalConfig]:
    """A connection to the socket at this path; raises `Unavailable` when no slapd answers there."""
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
    (_, dn), (_, attributes) = elements(body)
    found: dict[str, tuple[str, ...]] = {}
    for _, attribute in elements(attributes):
        (_, name), (_, values) = elements(attribute)
        found[name.decode().lower()] = tuple(value.decode(errors="replace") for _, value in elements(values))
    return ConfigEntry(dn.decode(), found)


def _attributes(values: ConfigValues) -> Iterator[bytes]:
    for name, texts in values.items():
        yield encoded(SEQUENCE, _octets(name), encoded(SET, *map(_octets, texts)))


def _octets(text: str) -> bytes:
    return encoded(OCTETS, text.encode())


def _number(tag: int, value: int) -> bytes:
    return encoded(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))
