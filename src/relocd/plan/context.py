"""What a template sees: plain JSON values built from the snapshot, see `templates/README.md`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from relocd.model.entries import Attributes, Cluster, EntryUUID, Server, Service
from relocd.model.snapshot import Snapshot
from relocd.model.template_set import Role
from relocd.plan.holder import Decision, decision

__all__ = ["server_context", "service_context"]

Json = dict[str, Any]


def service_context(snapshot: Snapshot, me: Server, service: Service, decided: Decision) -> Json:
    """The context of a set of scope `service`."""
    cluster = None if decided.cluster is None else snapshot.clusters[decided.cluster]
    return {
        "server": _server(me),
        "service": _service(service),
        "role": str(decided.role),
        "cluster": None if cluster is None else _cluster(snapshot, cluster),
        "peers": [_server(peer) for peer in _peers(snapshot, me, service.uuid)],
        "parameters": dict(service.parameters),
        "secrets": _secrets(service),
        "services": _services(snapshot, me),
    }


def server_context(snapshot: Snapshot, me: Server) -> Json:
    """The context of a set of scope `server`: all links, no service of its own."""
    return {
        "server": _server(me),
        "service": None,
        "role": str(Role.ACTIVE),
        "cluster": None,
        "clusters": [_cluster(snapshot, cluster) for cluster in snapshot.clusters_of(me)],
        "peers": [_server(peer) for peer in _others(snapshot.servers.values(), me)],
        "parameters": {},
        "secrets": {},
        "services": _services(snapshot, me, secrets=True),
    }


def _services(snapshot: Snapshot, me: Server, *, secrets: bool = False) -> list[Json]:
    linked = (snapshot.services[uuid] for uuid in snapshot.linked(me) if uuid in snapshot.services)
    found = []
    for service in sorted(linked, key=lambda service: service.dn.key):
        decided = decision(snapshot, me, service)
        role = None if decided is None else str(decided.role)
        found.append(_service(service) | {"role": role, "secrets": _secrets(service) if secrets else {}})
    return found


def _peers(snapshot: Snapshot, me: Server, service: EntryUUID) -> list[Server]:
    sharing = (server for server in snapshot.servers.values() if service in snapshot.linked(server))
    return _others(sharing, me)


def _others(servers: Iterable[Server], me: Server) -> list[Server]:
    return sorted((server for server in servers if server.uuid != me.uuid), key=lambda server: server.dn.key)


def _server(server: Server) -> Json:
    return {
        "name": server.name,
        "dn": str(server.dn),
        "uuid": server.uuid,
        "fenced": server.fenced,
        "attributes": _attributes(server.attributes),
    }


def _cluster(snapshot: Snapshot, cluster: Cluster) -> Json:
    return {
        "name": cluster.name,
        "dn": str(cluster.dn),
        "uuid": cluster.uuid,
        "active": None if cluster.active is None else cluster.active.name,
        "failover": str(cluster.failover),
        "members": [_server(member) for member in snapshot.members(cluster)],
        "attributes": _attributes(cluster.attributes),
    }


def _service(service: Service) -> Json:
    return {
        "name": service.name,
        "dn": str(service.dn),
        "uuid": service.uuid,
        "addresses": [
            {"ip": str(address.ip), "prefix": address.network.prefixlen, "version": address.version}
            for address in service.addresses
        ],
        "interface": service.interface,
        "exclusive": service.exclusive,
        "parameters": dict(service.parameters),
        "attributes": _attributes(service.attributes),
    }


def _secrets(service: Service) -> Mapping[str, str]:
    return {key: secret.reveal() for key, secret in service.secrets.items()}


def _attributes(attributes: Attributes) -> dict[str, list[str]]:
    return {name: [_text(value) for value in values] for name, values in sorted(attributes.items())}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return b64encode(value).decode()
