"""Base servers: hosts whose slapd holds the data of an organisation, as Debian's does after its installation.

    with BasePair() as pair:
        pair["node1"].add(...)

Each slapd is configured in cn=config, which root of the machine may manage over ldapi, and has one database for the
data, `DATA`, that is neither provider nor consumer yet. What makes a pair of them (the control suffix, a primary) is
done by the programs under test. `BasePair` has two of them on hosts of one network, and a client's host.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import ldap
from ldap.ldapobject import SimpleLDAPObject

from tests.lab.hosts.hosts import Lan, entered
from tests.lab.slapd.ldif import record
from tests.lab.slapd.slapd import PASSWORD, Slapd

__all__ = ["ADMIN", "DATA", "READER", "ROOT", "BasePair", "BaseServer", "data_ldif", "person_ldif", "trust_each_other"]

DATA: Final = "dc=example,dc=org"
ADMIN: Final = f"cn=admin,{DATA}"
"""The rootdn of the data; its password is that of the laboratory."""
READER: Final = f"cn=replicator,{DATA}"
"""Who may read all of the data, to copy it."""
ROOT: Final = "gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth"
_SCHEMAS: Final = ("core", "cosine", "nis", "inetorgperson")
_TIMEOUT_S: Final = 10.0


@dataclass(kw_only=True, eq=False)
class BaseServer(Slapd):
    """One of them; an empty one, so that it can get its content from the other."""

    content: str = ""

    @property
    def uri(self) -> str:
        """The URI by its own address; on a host it listens at all others, too."""
        return f"ldap://{self.host.ipv4}" if self.host else super().uri

    @property
    def socket(self) -> str:
        """The path of its local socket."""
        return str(self.folder / "ldapi")

    def bound(self, who: str = ADMIN, password: str = PASSWORD) -> SimpleLDAPObject:
        """A new connection as that entry, or anonymous; it belongs to the caller."""
        if self.host is None:
            return _client(self.uri, who, password)
        with entered(self.host):
            return _client(self.uri, who, password)

    def add_as(self, who: str, ldif: str) -> None:
        """Add entries as somebody: root of the machine writes only the data."""
        self._as(who, "ldapadd", ldif)

    def modify_as(self, who: str, ldif: str) -> None:
        """Change entries as somebody."""
        self._as(who, "ldapmodify", ldif)

    def entries(
        self, base: str = DATA, *attributes: str, filter_: str = "(objectClass=*)"
    ) -> dict[str, dict[str, Any]]:
        """What root reads over the socket: attributes with their values as text, by the names of the entries."""
        connection = ldap.initialize(self.ldapi_uri)
        connection.set_option(ldap.OPT_TIMEOUT, _TIMEOUT_S)
        try:
            connection.sasl_non_interactive_bind_s("EXTERNAL")
            found = connection.search_s(base, ldap.SCOPE_SUBTREE, filter_, list(attributes) or None)
        except ldap.NO_SUCH_OBJECT:
            return {}
        finally:
            connection.unbind_s()
        return {dn: {name: [v.decode() for v in vs] for name, vs in values.items()} for dn, values in found}

    def config(self) -> dict[str, dict[str, Any]]:
        """All of cn=config but the schema."""
        return {dn: values for dn, values in self.entries("cn=config").items() if "cn=schema" not in dn}

    def _as(self, who: str, program: str, ldif: str) -> None:
        argv = [program, "-x", "-D", who, "-w", PASSWORD, "-H", self.ldapi_uri]
        done = subprocess.run(argv, input=ldif, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        if done.returncode:
            raise RuntimeError(f"{program} as {who} failed: {done.stderr.strip()}")

    def _configure(self) -> None:
        super()._configure()
        (self.folder / "slapd.d").mkdir()

    def _config_option(self) -> list[str]:
        conf, folder = self.folder / "slapd.conf", self.folder / "slapd.d"
        return ["-F", str(folder)] if any(folder.iterdir()) else ["-f", str(conf), "-F", str(folder)]

    def _lines(self) -> list[str]:
        manage = f"by dn.exact={ROOT} manage"
        return [
            *(f"include /etc/ldap/schema/{name}.schema" for name in _SCHEMAS),
            f"pidfile {self.folder}/pid",
            f"argsfile {self.folder}/args",
            "modulepath /usr/lib/ldap",
            "moduleload back_mdb",
            *self._tls_lines(),
            *self.global_lines,
            "database config",
            f"access to * {manage} by * break",
            "database mdb",
            f"suffix {DATA}",
            f"rootdn {ADMIN}",
            f"rootpw {PASSWORD}",
            f"directory {self.folder}/db",
            "sizelimit unlimited",
            f"maxsize {self.max_size}",
            *([] if self.durable else ["dbnosync"]),
            "index objectClass,entryUUID,entryCSN eq",
            f"limits dn.exact={READER} size=unlimited time=unlimited",
            f"access to attrs=userPassword {manage} by dn.exact={READER} read by anonymous auth by * none",
            f"access to * {manage} by * read",
            *self.database_lines,
        ]


def _client(uri: str, who: str, password: str) -> SimpleLDAPObject:
    connection = ldap.initialize(uri)
    connection.set_option(ldap.OPT_TIMEOUT, _TIMEOUT_S)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, _TIMEOUT_S)
    connection.set_option(ldap.OPT_REFERRALS, ldap.OPT_OFF)
    connection.simple_bind_s(who, password if who else "")
    return connection


def trust_each_other(servers: Sequence[BaseServer], authorities: Path) -> None:
    """Let servers with certificates, each of an authority of its own, trust all these authorities."""
    authorities.write_text("".join(server.certificates.ca.read_text() for server in servers if server.certificates))
    for server in servers:
        change = f"replace: olcTLSCACertificateFile\nolcTLSCACertificateFile: {authorities}\n"
        server.modify(f"dn: cn=config\nchangetype: modify\n{change}")


def data_ldif() -> str:
    """The root of the data, and who copies it."""
    root = {"objectClass": ("organization", "dcObject"), "o": "Example"}
    reader = {"objectClass": ("organizationalRole", "simpleSecurityObject"), "userPassword": PASSWORD}
    return record(DATA, root) + record(READER, reader)


def person_ldif(name: str) -> str:
    """Somebody in the data."""
    return record(f"cn={name},{DATA}", {"objectClass": "person", "sn": name})


class BasePair:
    """Two base servers and a client on one network, as a context manager; nothing of it is left after the block."""

    nodes: Final = ("node1", "node2")

    def __init__(self, *, tls: bool = False, more: Sequence[str] = ()) -> None:
        self.lan = Lan((*self.nodes, "client", *more))
        self._tls = tls
        self._servers: dict[str, BaseServer] = {}
        self._stack = ExitStack()

    def __getitem__(self, name: str) -> BaseServer:
        return self._servers[name]

    @property
    def servers(self) -> list[BaseServer]:
        """Both, in order."""
        return list(self._servers.values())

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.lan)
            for name in self.nodes:
                server = BaseServer(host=self.lan[name], listen=["ldap:///"], durable=False, tls=self._tls)
                self._servers[name] = stack.enter_context(server)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
