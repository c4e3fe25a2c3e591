"""LDIF (RFC 2849) for the laboratory's directory: the tree, its entries, and the modify that moves a service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

__all__ = [
    "ABOVE",
    "SUFFIX",
    "above_ldif",
    "activate_ldif",
    "base_ldif",
    "cluster_dn",
    "cluster_ldif",
    "fence_ldif",
    "history_dn",
    "link_ldif",
    "record",
    "server_dn",
    "server_ldif",
    "service_dn",
    "service_ldif",
    "state_dn",
    "state_ldif",
    "status_ldif",
]

SUFFIX: Final = "ou=relocd,dc=example,dc=org"
ABOVE: Final = "dc=example,dc=org"


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


def above_ldif() -> str:
    """The suffix of a database that holds all of an organization, above relocd's entries."""
    return record(ABOVE, {"objectClass": ("dcObject", "organization"), "o": "example"})


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


def link_ldif(service: str, server: str, *, verb: str = "add") -> str:
    """The one record of a move: link the new server. With the verb `delete`: unlink it."""
    return _modify(server_dn(server), verb, "relocServiceLink", service_dn(service))


def activate_ldif(cluster: str, server: str) -> str:
    """The one record of a cluster's failover."""
    return _modify(cluster_dn(cluster), "replace", "relocActive", server_dn(server))


def fence_ldif(server: str) -> str:
    """The word that a server is off for certain."""
    return _modify(server_dn(server), "replace", "relocFenced", "TRUE")


def state_dn(service: str) -> str:
    """The name of a service's state."""
    return f"cn=state,{service_dn(service)}"


def history_dn(service: str) -> str:
    """The name of a service's history."""
    return f"cn=history,{service_dn(service)}"


def status_ldif(server: str, *, lease_s: float = 600, **services: list[str]) -> str:
    """The status that the agent of a server has just written, as in `Active=["web"]`."""
    stamp = datetime.now(UTC).strftime("%Y%m%d%H%M%S.%fZ")
    services_by = {f"reloc{word}Service": map(service_dn, names) for word, names in services.items()}
    own = {"objectClass": "relocServerStatus", "relocHeartbeat": stamp, "relocLease": f"{lease_s:g}"}
    own |= {"relocAgentVersion": "0.1", "relocMode": "normal"}
    return record(f"cn=status,{server_dn(server)}", {**own, **services_by})


def state_ldif(service: str, holder: str) -> str:
    """The state of a service that a server holds."""
    own = {"objectClass": "relocServiceState", "relocHolder": server_dn(holder), "relocGeneration": "3"}
    return record(state_dn(service), own)


def _modify(dn: str, verb: str, attribute: str, value: str) -> str:
    return f"dn: {dn}\nchangetype: modify\n{verb}: {attribute}\n{attribute}: {value}\n-\n"
