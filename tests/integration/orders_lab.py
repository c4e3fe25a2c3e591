"""What the tests of orders and of triggers share: a directory under the shipped access rules, and a trigger's identity.

node1 runs web and fax, and mail as the active server of a cluster with node2; node3 has nothing to do with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ldap

from relocd.operator.access import Access
from relocd.schema.acl import FILES
from tests.integration.acl_lab import ACCOUNTS, account_dn, account_ldif
from tests.lab.slapd.ldif import record
from tests.lab.slapd.slapd import (
    PASSWORD,
    SCHEMA,
    SUFFIX,
    Slapd,
    base_ldif,
    cluster_dn,
    cluster_ldif,
    server_dn,
    server_ldif,
    service_dn,
    service_ldif,
)

RULES = [f"include {SCHEMA / FILES['schema']}"]
TRIGGER = ACCOUNTS["triggers"]
READER = ACCOUNTS["readers"]
TWIN = f"cn=twin,ou=other,{SUFFIX}"


def content() -> str:
    """The directory of these tests."""
    group = {"objectClass": "groupOfNames", "member": TRIGGER}
    services = [service_ldif(name, addresses=["192.0.2.10/24"]) for name in ("web", "fax", "mail", "twin")]
    return "".join(
        [
            base_ldif(),
            *services,
            record(f"ou=other,{SUFFIX}", {"objectClass": "organizationalUnit"}),
            record(TWIN, {"objectClass": "relocService"}),
            cluster_ldif("pair", services=["mail"], active="node1"),
            server_ldif("node1", services=["web", "fax", "gone"], clusters=["pair"]),
            server_ldif("node2", services=["fax"], clusters=["pair"]),
            server_ldif("node3"),
            account_ldif(TRIGGER),
            account_ldif(READER),
            record(account_dn("triggers"), group),
        ]
    )


@contextmanager
def guarded_directory(folder: Path, **more: Any) -> Iterator[Slapd]:
    """A slapd under the shipped rules, and the trigger's password as a file in `folder`."""
    password_file(folder)
    with Slapd(**{"content": content(), "database_lines": RULES, "durable": False} | more) as slapd:
        yield slapd


def password_file(folder: Path) -> Path:
    """The file with everybody's password."""
    path = folder / "password"
    path.write_text(f"{PASSWORD}\n")
    path.chmod(0o600)
    return path


def access(folder: Path, *uris: str, who: str = TRIGGER, patience_s: int = 5) -> Access:
    """How a trigger reaches these directories."""
    return Access(uris, SUFFIX, who, folder / "password", timeout_s=patience_s)


def environment(reached: Access) -> dict[str, str]:
    """The same as the variables that commands and triggers read."""
    return {
        "RELOCD_URI": " ".join(reached.uris),
        "RELOCD_BASE": reached.base,
        "RELOCD_BIND_DN": reached.bind_dn,
        "RELOCD_PASSWORD_FILE": str(reached.password_file),
        "RELOCD_PATIENCE": str(reached.timeout_s),
    }


def seen(slapd: Slapd, dn: str, attribute: str) -> list[str]:
    """The values of one entry's attribute, in the directory's order."""
    connection = ldap.initialize(slapd.ldapi_uri)
    try:
        connection.sasl_external_bind_s()
        ((_, attributes),) = connection.search_s(dn, ldap.SCOPE_BASE, attrlist=[attribute])
        return [value.decode() for value in attributes.get(attribute, [])]
    finally:
        connection.unbind_ext_s()


def links(slapd: Slapd, server: str) -> list[str]:
    """The names of the services that a server is linked to."""
    known: dict[str, str] = {service_dn(name): name for name in ("web", "fax", "mail", "twin", "gone")}
    return sorted(known.get(dn, dn) for dn in seen(slapd, server_dn(server), "relocServiceLink"))


def active(slapd: Slapd) -> list[str]:
    """The active server of the cluster."""
    return [dn.partition(",")[0].removeprefix("cn=") for dn in seen(slapd, cluster_dn("pair"), "relocActive")]


def fenced(slapd: Slapd, server: str) -> list[str]:
    """Whether a server is said to be off."""
    return seen(slapd, server_dn(server), "relocFenced")


def everything(slapd: Slapd) -> object:
    """All that an order may change."""
    return [(links(slapd, name), fenced(slapd, name)) for name in ("node1", "node2", "node3")], active(slapd)
