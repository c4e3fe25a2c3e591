"""The URI of a directory, parsed in one place: what libldap and ldap3 make of a wrong one differs, and misleads.

A path, a filter or an identity has no place in it: relocd gets these by options of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote, unquote

from relocd.errors import Invalid

__all__ = ["DirectoryUri"]

_PORTS: Final = {"ldap": 389, "ldaps": 636}
_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_HIGHEST_PORT: Final = 65535
_LONGEST_NAME: Final = 253
_LONGEST_SOCKET: Final = 107
"""Bytes of the path of a Unix socket (unix(7))."""


@dataclass(frozen=True, slots=True)
class DirectoryUri:
    """Where a directory is: by `host`, an address or a name, or by the path `socket`; empty: this machine's."""

    scheme: str
    host: str = ""
    port: int | None = None
    socket: str = ""

    @classmethod
    def parse(cls, text: str) -> DirectoryUri:
        """The value of a written URI; raises `Invalid` with what is wrong in it."""
        scheme, separator, rest = text.partition("://")
        try:
            match scheme.lower() if separator else "":
                case "ldapi":
                    return cls("ldapi", socket=_socket(rest.removesuffix("/")))
                case "ldap" | "ldaps" as known:
                    return cls(known, *_host_and_port(rest.removesuffix("/")))
            raise Invalid("it begins with none of ldap://, ldaps:// and ldapi://")  # noqa: TRY301
        except Invalid as error:
            raise Invalid(f"{text!r} is not the URI of a directory: {error}") from error

    @property
    def is_local(self) -> bool:
        """Whether it is this machine, which is also meant where no host is named (ldap_initialize(3))."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() in {"", "localhost"}

    @property
    def tcp_port(self) -> int:
        """The port of ldap:// and ldaps://, by default that of the scheme."""
        return self.port or _PORTS[self.scheme]

    def uses_tls(self, *, starttls: bool) -> bool:
        """Whether TLS protects it: by itself, or where `starttls` is wanted by StartTLS; a socket needs none."""
        return self.scheme == "ldaps" or (self.scheme == "ldap" and starttls)

    def written(self, host: str = "", socket: str = "") -> str:
        """The URI as every library takes it, with these where it names no host or socket."""
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
            raise Invalid(f"it has {what}; leave it away, relocd asks for base and identity separately")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ipv6(host):
            raise Invalid("no IPv6 address stands in its brackets")
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
            raise Invalid(f"{name} is no IPv4 address") from error
    labels = name.removesuffix(".").split(".")
    if name and not all(_LABEL.fullmatch(label) for label in labels):
        raise Invalid(f"{name!r} is no host name: parts of up to 63 letters, digits, - and _ with dots between them")
    if len(name) > _LONGEST_NAME:
        raise Invalid(f"the host name has {len(name)} characters, more than {_LONGEST_NAME}")


def _port(text: str) -> int | None:
    """The port after a host: nothing, or a colon and a number."""
    if not text:
        return None
    number = text.removeprefix(":")
    if not text.startswith(":") or not re.fullmatch(r"[0-9]{1,5}", number) or not 0 < int(number) <= _HIGHEST_PORT:
        raise Invalid(f"{number!r} is no port; write a number from 1 to {_HIGHEST_PORT}, or none")
    return int(number)
