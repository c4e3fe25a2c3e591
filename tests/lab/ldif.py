"""LDIF (RFC 2849) for the laboratory's directory: the tree, its entries, and the modify that moves a service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

__all__ = [
    "SUFFIX",
    "base_ldif",
    "cluster_dn",
    "cluster_ldif",
    "move_ldif",
    "record",
    "server_dn",
    "server_ldif",
    "service_dn",
    "service_ldif",
]

SUFFIX: Final = "ou=relocd,dc=example,dc=org"


def server_dn(name: str) -> str:
    """The name of a server's entry."""
    return f"cn={name},ou=servers,{SUFFIX}"


def service_dn(name: str) -> str:
    """The name of a service's entry."""
    return f"cn={name},ou=services,{SUFFIX}"


def cluster_dn(name: str) -> str:
    """The name of a cluster's entry."""
    return f"cn={name},ou=clusters,{SUFFIX}"


def record(dn: str, attributes: Mapping[str, str | Iterable[str]]) -> str:
    """One entry of plain text values, ended by an empty line."""
    lines = [f"dn: {dn}"]
    for name, values in attributes.items():
        lines += [f"{name}: {value}" for value in ([values] if isinstance(values, str) else values)]
    return "\n".join(lines) + "\n\n"


def base_ldif() -> str:
    """The suffix and the folders below it."""
    folders = (f"ou={name},{SUFFIX}" for name in ("servers", "services", "clusters"))
    return "".join(record(dn, {"objectClass": "organizationalUnit"}) for dn in (SUFFIX, *folders))


def server_ldif(name: str, *, services: Iterable[str] = (), clusters: Iterable[str] = (), **more: str) -> str:
    """A host entry that carries relocServer, linked to services and clusters by their names (`web`, not a DN)."""
    return record(
        server_dn(name),
        {
            "objectClass": ("device", "relocServer"),
            "relocServiceLink": map(service_dn, services),
            "relocClusterLink": map(cluster_dn, clusters),
            **more,
        },
    )


def cluster_ldif(name: str, *, services: Iterable[str] = (), active: str = "", **more: str) -> str:
    """A cluster, linked to services and to its active server by their names."""
    return record(
        cluster_dn(name),
        {
            "objectClass": "relocCluster",
            "relocServiceLink": map(service_dn, services),
            "relocActive": [server_dn(active)] if active else [],
            **more,
        },
    )


def service_ldif(
    name: str,
    *,
    addresses: Iterable[str] = (),
    template_sets: Iterable[str] = (),
    parameters: Mapping[str, str] | None = None,
    **more: str | Iterable[str],
) -> str:
    """A service; `more` are further attributes by their own names, as in `relocExclusive="FALSE"`."""
    return record(
        service_dn(name),
        {
            "objectClass": "relocService",
            "relocAddress": addresses,
            "relocTemplateSet": template_sets,
            "relocParameter": [f"{key}={value}" for key, value in (parameters or {}).items()],
            **more,
        },
    )


def move_ldif(service: str, old: str, new: str) -> str:
    """The two records of a move: unlink the old server, link the new one."""
    link = f"relocServiceLink: {service_dn(service)}"
    return "\n".join(
        f"dn: {server_dn(server)}\nchangetype: modify\n{verb}: relocServiceLink\n{link}\n-\n"
        for server, verb in ((old, "delete"), (new, "add"))
    )
