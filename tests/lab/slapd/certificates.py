"""A certificate authority, a server's and a client's certificate, made by the openssl command in a few milliseconds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

__all__ = ["Certificates", "issued"]


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files of one authority, a server and a client."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def server(self) -> tuple[Path, Path]:
        """Certificate and key of the server."""
        return self.folder / "server.crt", self.folder / "server.key"

    @property
    def client(self) -> tuple[Path, Path]:
        """Certificate and key of the client."""
        return self.folder / "client.crt", self.folder / "client.key"


def issued(folder: Path, hosts: Iterable[str], client_dn: str) -> Certificates:
    """New certificates in a folder: the server's is good for the hosts (names or addresses), the client is named."""
    folder.mkdir(parents=True, exist_ok=True)
    # Python 3.13 asks an authority for its key usage (RFC 5280, section 4.2.1.3).
    authority = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
    _openssl(folder, "ca", "/CN=laboratory authority", *(word for each in authority for word in ("-addext", each)))
    names = ",".join(f"{'IP' if _is_address(host) else 'DNS'}:{host}" for host in hosts)
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")
    _openssl(folder, "server", "/CN=laboratory server", *signed, "-addext", f"subjectAltName={names}")
    _openssl(folder, "client", _subject(client_dn), *signed)
    return Certificates(folder)


def _openssl(folder: Path, name: str, subject: str, *more: str) -> None:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", f"{name}.key")
    subprocess.run(
        ["openssl", "req", "-x509", *key, "-out", f"{name}.crt", "-days", "2", "-subj", subject, *more],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=20,
    )


def _subject(dn: str) -> str:
    """A simple DN in openssl's form: slashes, the most significant RDN first, and types in capitals."""
    pairs = [rdn.partition("=") for rdn in reversed(dn.split(","))]
    return "".join(f"/{kind.upper()}={value}" for kind, _, value in pairs)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
