"""TLS for ldap3 that also accepts a server by the IP addresses in its certificate.

ldap3 matches names by a function that Python 3.12 has removed, and then by a copy of its own that knows no addresses
(RFC 9525, section 6.5: an address is compared as a value, with the `IP Address` entries only).
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPCertificateError
from ldap3.core.tls import check_hostname

__all__ = ["Tls"]


class Tls(ldap3.Tls):  # type: ignore[misc]  # ldap3 has no types
    """ldap3's settings of TLS; the certificate has to name the host of the URI."""

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
