"""The URI of a directory, parsed in one place: libldap and ldap3 take a wrong one differently, with misleading errors.

A path, a filter or an identity is refused in it: relocd has options for these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote, unquote

from relocd.errors import Invalid

__all__ = ["DirectoryUri", "PLAIN_TEXT", "PROTECT", "in_plain_text"]

PLAIN_TEXT: Final = "the password crosses the network in plain text"
PROTECT: Final = "use ldaps:// or StartTLS"
_PORTS: Final = {"ldap": 389, "ldaps": 636}
_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_HIGHEST_PORT: Final = 65535
_LONGEST_NAME: Final = 253
_LONGEST_SOCKET: Final = 107
"""Bytes of the path of a Unix socket (unix(7))."""


@dataclass(frozen=True, slots=True)
class DirectoryUri:
    """Where a directory is: `host`, an address or a name, or the path `socket`; empty means on this machine."""

    scheme: str
    host: str = ""
    port: int | None = None
    socket: str = ""

    @classmethod
    def parse(cls, text: str) -> DirectoryUri:
        """The value of a written URI; raises `Invalid` that says what is wrong with it."""
        scheme, separator, rest = text.partition("://")
        try:
            match scheme.lower() if separator else "":
                case "ldapi":
                    return cls("ldapi", socket=_socket(rest.removesuffix("/")))
                case "ldap" | "ldaps" as known:
                    return cls(known, *_host_and_port(rest.removesuffix("/")))
            raise Invalid("it does not begin with ldap://, ldaps:// or ldapi://")  # noqa: TRY301
        except Invalid as error:
            raise Invalid(f"{text!r} is not the URI of a directory: {error}") from error

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, as it also is where no host is given (ldap_initialize(3))."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() in {"", "localhost"}

    @property
    def tcp_port(self) -> int:
        """The port of ldap:// and ldaps://, by default that of the scheme."""
        return self.port or _PORTS[self.scheme]

    def uses_tls(self, *, starttls: bool) -> bool:
        """Whether TLS protects the connection: ldaps://, or ldap:// with `starttls`; a socket needs none."""
        return self.scheme == "ldaps" or (self.scheme == "ldap" and starttls)

    def written(self, host: str = "", socket: str = "") -> str:
        """The URI in the form that every library accepts, with the given host or socket where it names none."""
        if self.scheme == "ldapi":
            return f"ldapi://{quote(self.socket or socket, safe='')}"
        name = self.host or host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{f'[{name}]' if ':' in name else name}{port}"


def _socket(written: str) -> str:
    path = unquote(written)
    if "/" in written or "?" in written or (path and not path.startswith("/")):
        raise Invalid("write the whole path of the socket with %2F for each slash, as in ldapi://%2Fvar%2Frun%2Fslapd")
    if not path.isprintable() or len(path.encode()) > _LONGEST_SOCKET:
        raise Invalid(f"the path of a socket has up to {_LONGEST_SOCKET} printable characters")
    return path


def _host_and_port(text: str) -> tuple[str, int | None]:
    for character, what in (("/", "a path"), ("?", "a query"), ("#", "a fragment"), ("@", "a user")):
        if character in text:
            raise Invalid(f"it has {what}; leave that out, relocd has options for base and identity")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ipv6(host):
            raise Invalid("there is no IPv6 address between its brackets")
        return host, _port(rest)
    if text.count(":") > 1:
        raise Invalid("write an IPv6 address in brackets, as in ldap://[2001:db8::3]:389")
    host, colon, port = text.partition(":")
    _require_host(host)
    return host, _port(colon + port)


def _is_ipv6(text: str) -> bool:
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False


def _require_host(name: str) -> None:
    if re.fullmatch(r"[0-9.]+", name):
        try:
            ip_address(name)
        except ValueError as error:
            raise Invalid(f"{name} is not an IPv4 address") from error
    labels = name.removesuffix(".").split(".")
    if name and not all(_LABEL.fullmatch(label) for label in labels):
        raise Invalid(
            f"{name!r} is not a host name: write parts of up to 63 letters, digits, - and _ with dots between them"
        )
    if len(name) > _LONGEST_NAME:
        raise Invalid(f"the host name has {len(name)} characters, more than {_LONGEST_NAME}")


def _port(text: str) -> int | None:
    """The port after a host: nothing, or a colon and a number."""
    if not text:
        return None
    number = text.removeprefix(":")
    if not text.startswith(":") or not re.fullmatch(r"[0-9]{1,5}", number) or not 0 < int(number) <= _HIGHEST_PORT:
        raise Invalid(f"{number!r} is not a port; write a number from 1 to {_HIGHEST_PORT}, or none")
    return int(number)


def in_plain_text(uris: Iterable[str], *, password: bool, starttls: bool) -> tuple[str, ...]:
    """Those of the URIs to which a password would be sent without protection."""
    if not password or starttls:
        return ()
    return tuple(uri for uri in uris if _is_open(uri))


def _is_open(uri: str) -> bool:
    try:
        found = DirectoryUri.parse(uri)
    except Invalid:
        return False  # connecting reports it
    return found.scheme == "ldap" and not found.is_local
