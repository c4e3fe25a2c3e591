"""A connection to a slapd over ldap3: read and change cn=config, and compare the entries of two servers.

Locally it binds as root by SASL EXTERNAL over the socket, which Debian's slapd allows to manage cn=config; at another
server it binds as the replication user. Every operation has a time limit.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

import ldap3
from ldap3.core.exceptions import LDAPCertificateError, LDAPException
from ldap3.core.tls import check_hostname

from relocd.openldap.changes import AddEntry, ConfigChange
from relocd.openldap.config import Config, ConfigEntry
from relocd.openldap.ldap3_errors import NotFound, Remedies, translated

__all__ = ["Identity", "SlapdServer", "Tls", "Version", "bound_locally", "close", "local", "remote"]

_CONNECT_TIMEOUT_S: Final = 3
"""A host that is switched off does not answer, and a takeover may wait for that (as `connect_timeout_s`)."""

_TIMEOUT_S: Final = 10
_PAGE: Final = 500
_REMEDIES: Final = Remedies(
    credentials="create the same user with the same password there",
    refused="check its log and the rights of this identity",
    elsewhere="check its log, and whether it is starting",
    settings="check the URI, and olcTLSCACertificateFile of this slapd",
    certificate="use a name of the certificate, and set olcTLSCACertificateFile here to the CA that signed it",
    silent="check whether slapd runs",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The replication user at another server, and how the connection is protected."""

    dn: str
    password: str
    starttls: bool
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """The state of an entry at a server."""

    dn: str
    csn: str


class SlapdServer:
    """A bound connection to one server."""

    def __init__(self, uri: str, connection: ldap3.Connection) -> None:
        self._uri = uri
        self._connection = connection

    def config(self) -> Config:
        """Everything below cn=config; raises `Failed` when this identity may not read it."""
        return Config(tuple(self._entries("cn=config", "(objectClass=*)", ["*"])))

    def apply(self, change: ConfigChange) -> None:
        """Carry out one change."""
        with translated(self._uri, _REMEDIES, f"changing {change.dn} ({change.why})"):
            if isinstance(change, AddEntry):
                self._connection.add(change.dn, attributes=dict(change.attributes))
                return
            wanted: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
            for name, values in change.replaced.items():
                wanted.setdefault(name, []).append((ldap3.MODIFY_REPLACE, values))
            for name, values in change.added.items():
                wanted.setdefault(name, []).append((ldap3.MODIFY_ADD, values))
            self._connection.modify(change.dn, wanted)

    def exists(self, dn: str) -> bool:
        """Whether there is an entry of that name that this identity may read."""
        try:
            return any(self._search(dn, "(objectClass=*)", ["1.1"], ldap3.BASE))
        except NotFound:
            return False

    def context_csns(self, suffix: str) -> tuple[str, ...]:
        """The contextCSN of a suffix: up to which change of each provider it is current; empty without entries."""
        try:
            found = list(self._search(suffix, "(objectClass=*)", ["contextCSN"], ldap3.BASE))
        except NotFound:
            return ()
        return tuple(value.decode() for item in found for value in item["raw_attributes"].get("contextCSN", ()))

    def versions(self, suffix: str) -> Mapping[str, Version]:
        """The state of every entry of the suffix by its entryUUID."""
        found: dict[str, Version] = {}
        for entry in self._entries(suffix, "(objectClass=*)", ["entryUUID", "entryCSN"]):
            found[entry.first("entryUUID")] = Version(entry.dn, entry.first("entryCSN"))
        return found

    def _entries(self, base: str, filter_: str, attributes: list[str]) -> Iterator[ConfigEntry]:
        for item in self._search(base, filter_, attributes, ldap3.SUBTREE):
            raw: dict[str, list[bytes]] = item["raw_attributes"]
            texts = {name.lower(): tuple(map(_text, values)) for name, values in raw.items()}
            yield ConfigEntry(item["dn"], texts)

    def _search(self, base: str, filter_: str, attributes: list[str], scope: str) -> Iterator[dict[str, Any]]:
        with translated(self._uri, _REMEDIES, f"reading {base}"):
            found = self._connection.extend.standard.paged_search(
                base, filter_, scope, attributes=attributes, paged_size=_PAGE, generator=True
            )
            yield from (item for item in found if item["type"] == "searchResEntry")


@contextmanager
def local(socket: str) -> Iterator[SlapdServer]:
    """The slapd of this machine, as the user that runs this program, by SASL EXTERNAL over the socket at a path."""
    identity = {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.EXTERNAL, "sasl_credentials": ""}
    with _connected(f"ldapi://{socket}", identity, starttls=False, ca_file="") as directory:
        yield directory


@contextmanager
def bound_locally(socket: str, dn: str, password: str) -> Iterator[SlapdServer]:
    """The slapd of this machine, by a simple bind."""
    who = {"user": dn, "password": password}
    with _connected(f"ldapi://{socket}", who, starttls=False, ca_file="") as directory:
        yield directory


@contextmanager
def remote(uri: str, identity: Identity) -> Iterator[SlapdServer]:
    """Another slapd, by a simple bind."""
    who = {"user": identity.dn, "password": identity.password}
    with _connected(uri, who, starttls=identity.starttls, ca_file=identity.ca_file) as directory:
        yield directory


@contextmanager
def _connected(uri: str, identity: Mapping[str, str], *, starttls: bool, ca_file: str) -> Iterator[SlapdServer]:
    with translated(uri, _REMEDIES, "binding"):
        tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_file or None)
        server = ldap3.Server(uri, connect_timeout=_CONNECT_TIMEOUT_S, get_info=ldap3.NONE, tls=tls)
    connection = ldap3.Connection(
        server, raise_exceptions=True, receive_timeout=_TIMEOUT_S, auto_bind=ldap3.AUTO_BIND_NONE, **identity
    )
    try:
        with translated(uri, _REMEDIES, "binding"):
            connection.open()
            if starttls:
                connection.start_tls()
            connection.bind()
        yield SlapdServer(uri, connection)
    finally:
        close(connection)


def close(connection: ldap3.Connection) -> None:
    """Unbind and close the socket, which ldap3 leaves open after a failed or broken connection."""
    with suppress(LDAPException, OSError):
        connection.unbind()
    if connection.socket is not None:
        connection.socket.close()


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


class Tls(ldap3.Tls):  # type: ignore[misc]  # ldap3 has no types
    """ldap3's settings of TLS; the certificate has to name the host of the URI, by its name or its IP address.

    ldap3 matches names by a function that Python 3.12 has removed, and then by a copy of its own that knows no
    addresses (RFC 9525, section 6.5: an address is compared as a value, with the `IP Address` entries only).
    """

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Protect the connection; raises `LDAPCertificateError` when the certificate is for another host."""
        self.valid_names = ["*"]  # compared below, where the connection has the socket and closes it
        super().wrap_socket(connection, do_handshake)
        host = connection.server.host
        if not do_handshake:
            return
        if (address := _address(host)) is None:
            check_hostname(connection.socket, host, None)
        elif address not in _addresses(certificate := connection.socket.getpeercert()):
            raise LDAPCertificateError(f"certificate {certificate} doesn't match any name in {[host]}")


def _addresses(certificate: Mapping[str, Any]) -> set[IPv4Address | IPv6Address | None]:
    listed = certificate.get("subjectAltName", ())
    return {_address(value) for kind, value in listed if kind == "IP Address"}


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.strip("[]\n"))
    except ValueError:
        return None
