"""What a template sees: plain JSON values built from the snapshot, see `templates/README.md`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from relocd.election.holder import Decision
from relocd.model.entries import Attributes, Cluster, EntryUUID, Server, Service
from relocd.model.snapshot import Snapshot
from relocd.model.template_set import Role

__all__ = ["Contexts", "Json"]

Json = dict[str, Any]


class Contexts:
    """The contexts of one snapshot for the server `me`; what they have in common is made once and shared.

    `decisions` are those about every service that `me` is linked to and that is understood.
    """

    def __init__(self, snapshot: Snapshot, me: Server, decisions: Mapping[EntryUUID, Decision]) -> None:
        others = sorted((each for each in snapshot.servers.values() if each.uuid != me.uuid), key=_name_key)
        linked = sorted((snapshot.services[uuid] for uuid in decisions), key=_name_key)
        self._me = _server(me)
        self._others = [(_server(other), snapshot.linked(other)) for other in others]
        self._clusters = {each.uuid: _cluster(snapshot, each) for each in snapshot.clusters_of(me)}
        self._secrets = {each.uuid: _secrets(each) for each in linked}
        self._services = [_service(each) | {"role": str(decisions[each.uuid].role), "secrets": {}} for each in linked]

    def of_service(self, service: Service, decided: Decision) -> Json:
        """The context of a set of scope `service`."""
        return {
            "server": self._me,
            "service": _service(service),
            "role": str(decided.role),
            "cluster": None if decided.cluster is None else self._clusters[decided.cluster],
            "peers": [other for other, linked in self._others if service.uuid in linked],
            "parameters": dict(service.parameters),
            "secrets": self._secrets[service.uuid],
            "services": self._services,
        }

    def of_server(self) -> Json:
        """The context of a set of scope `server`: all links, no service of its own."""
        return {
            "server": self._me,
            "service": None,
            "role": str(Role.ACTIVE),
            "cluster": None,
            "clusters": list(self._clusters.values()),
            "peers": [other for other, _ in self._others],
            "parameters": {},
            "secrets": {},
            "services": [shown | {"secrets": self._secrets[shown["uuid"]]} for shown in self._services],
        }


def _name_key(value: Server | Service) -> str:
    return value.dn.key


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
        "active": _active_name(snapshot, cluster),
        "failover": str(cluster.failover),
        "members": [_server(member) for member in snapshot.members(cluster)],
        "attributes": _attributes(cluster.attributes),
    }


def _active_name(snapshot: Snapshot, cluster: Cluster) -> str | None:
    """The name that the active server has now, whatever name it had when the cluster was written."""
    if cluster.active is None:
        return None
    found = (snapshot.servers[uuid] for uuid in snapshot.targets((cluster.active,)) if uuid in snapshot.servers)
    return next((server.name for server in found), cluster.active.name)


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
