"""What templates see, as typed values made from the snapshot; `templates/README.md` describes it for their authors.

Each value is here once. The process that renders derives from it what templates see twice, as `parameters`
(`relocd.adapters.templates.render_values`).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from relocd.election.eligibility import Decision
from relocd.model.entries import Attributes, Cluster, EntryUUID, Server, Service, Snapshot
from relocd.model.template_set import Role

__all__ = [
    "Contexts",
    "TemplateAddress",
    "TemplateCluster",
    "TemplateContext",
    "TemplateServer",
    "TemplateService",
]

Texts = Mapping[str, Sequence[str]]
"""The values of each attribute of an entry; one that is not text is in base64."""


@dataclass(frozen=True, slots=True)
class TemplateServer:
    """A server."""

    name: str
    dn: str
    uuid: EntryUUID
    fenced: bool
    attributes: Texts


@dataclass(frozen=True, slots=True)
class TemplateCluster:
    """A cluster; `active` is the name of its active server."""

    name: str
    dn: str
    uuid: EntryUUID
    active: str | None
    failover: str
    members: tuple[TemplateServer, ...]
    attributes: Texts


@dataclass(frozen=True, slots=True)
class TemplateAddress:
    """An address of a service."""

    ip: str
    prefix: int
    version: int


@dataclass(frozen=True, slots=True)
class TemplateService:
    """A service, and its role on this server; `secrets` are empty where a template may not see them."""

    name: str
    dn: str
    uuid: EntryUUID
    addresses: tuple[TemplateAddress, ...]
    interface: str | None
    exclusive: bool
    parameters: Mapping[str, str]
    attributes: Texts
    role: Role
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class TemplateContext:
    """What the templates of one goal see; `service` is None and `secrets` are empty in the scope `server`.

    `services` are all that are linked here, the goal's own among them; only the own one where no template reads the
    others. Only in the scope `server` they have secrets.
    """

    server: TemplateServer
    role: Role
    service: TemplateService | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    cluster: TemplateCluster | None = None
    clusters: tuple[TemplateCluster, ...] = ()
    peers: tuple[TemplateServer, ...] = ()
    services: tuple[TemplateService, ...] = ()

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of the goal's service."""
        return {} if self.service is None else self.service.parameters

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """Every secret that a template may write to a file."""
        return (*self.secrets.values(), *(value for each in self.services for value in each.secrets.values()))

    def in_role(self, role: Role) -> TemplateContext:
        """The same in another role of the goal's service."""
        if self.role is role and (self.service is None or self.service.role is role):
            return self
        own = None if self.service is None else replace(self.service, role=role)
        services = tuple(own if own and each.uuid == own.uuid else each for each in self.services)
        return replace(self, role=role, service=own, services=services)


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
        self._services = {each.uuid: _service(each, decisions[each.uuid].role) for each in linked}
        self._all = tuple(self._services.values())

    def of_service(self, service: Service, decided: Decision, *, alone: bool) -> TemplateContext:
        """The context of a set of scope `service`; one that is `alone` does not show the other services."""
        own = self._services[service.uuid]
        return TemplateContext(
            server=self._me,
            role=decided.role,
            service=own,
            secrets=self._secrets[service.uuid],
            cluster=None if decided.cluster is None else self._clusters[decided.cluster],
            peers=tuple(other for other, linked in self._others if service.uuid in linked),
            services=(own,) if alone else self._all,
        )

    def of_server(self) -> TemplateContext:
        """The context of a set of scope `server`: all links, no service of its own."""
        services = (replace(each, secrets=self._secrets[uuid]) for uuid, each in self._services.items())
        return TemplateContext(
            server=self._me,
            role=Role.ACTIVE,
            clusters=tuple(self._clusters.values()),
            peers=tuple(other for other, _ in self._others),
            services=tuple(services),
        )


def _name_key(value: Server | Service) -> str:
    return value.dn.key


def _server(server: Server) -> TemplateServer:
    return TemplateServer(server.name, str(server.dn), server.uuid, server.fenced, _texts(server.attributes))


def _cluster(snapshot: Snapshot, cluster: Cluster) -> TemplateCluster:
    return TemplateCluster(
        name=cluster.name,
        dn=str(cluster.dn),
        uuid=cluster.uuid,
        active=_active_name(snapshot, cluster),
        failover=str(cluster.failover),
        members=tuple(map(_server, snapshot.members(cluster))),
        attributes=_texts(cluster.attributes),
    )


def _active_name(snapshot: Snapshot, cluster: Cluster) -> str | None:
    """The name that the active server has now, whatever name it had when the cluster was written."""
    if cluster.active is None:
        return None
    found = (snapshot.servers[uuid] for uuid in snapshot.targets((cluster.active,)) if uuid in snapshot.servers)
    return next((server.name for server in found), cluster.active.name)


def _service(service: Service, role: Role) -> TemplateService:
    return TemplateService(
        name=service.name,
        dn=str(service.dn),
        uuid=service.uuid,
        addresses=tuple(
            TemplateAddress(str(address.ip), address.network.prefixlen, address.version)
            for address in service.addresses
        ),
        interface=service.interface,
        exclusive=service.exclusive,
        parameters=dict(service.parameters),
        attributes=_texts(service.attributes),
        role=role,
    )


def _secrets(service: Service) -> Mapping[str, str]:
    return {key: secret.reveal() for key, secret in service.secrets.items()}


def _texts(attributes: Attributes) -> Texts:
    return {name: [_text(value) for value in values] for name, values in sorted(attributes.items())}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return b64encode(value).decode()
