"""The snapshot of the entries of interest, with the problems found in them, taken from the index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from relocd.model.dn import DN
from relocd.model.entries import Cluster, EntryUUID, Problem, Server, Service, ServiceState
from relocd.model.parse import Model
from relocd.model.snapshot import Snapshot
from relocd.sync.index import Index, Record
from relocd.sync.interest import Interest

__all__ = ["snapshot_of"]


def snapshot_of(index: Index, me: Record | None, my_dn: DN, interest: Interest) -> Snapshot:
    """The entries of interest as values, with every name that their links use and every problem in them."""
    records = [record for uuid in sorted(interest.uuids) if (record := index.get(uuid)) is not None]
    values = [record.whole.value for record in records if record.whole and record.whole.value]
    known = {value.uuid for value in values}
    servers = {value.uuid: value for value in values if isinstance(value, Server)}
    clusters = {value.uuid: value for value in values if isinstance(value, Cluster)}
    links = {link for value in values for link in _names_used(value)}
    mine = None if me is None else servers.get(me.uuid)
    return Snapshot(
        me=mine,
        servers=servers,
        clusters=clusters,
        services={value.uuid: value for value in values if isinstance(value, Service)},
        states=_states(index, records),
        names={
            link: record.uuid
            for link in links
            if (record := index.named(link.key)) is not None and record.uuid in interest.uuids
        },
        unknown=frozenset(record.uuid for record in records if record.uuid not in known),
        dangling=frozenset(link for link in links if link.key in interest.keys and index.named(link.key) is None),
        problems=tuple(_problems(index, me, my_dn, records)),
    )


def _states(index: Index, records: Iterable[Record]) -> dict[EntryUUID, ServiceState | None]:
    """The states by the identities of their services."""
    found: dict[EntryUUID, ServiceState | None] = {}
    for record in records:
        service = index.named(record.links[0]) if record.is_state else None
        if service is not None:
            value = record.whole.value if record.whole else None
            found[service.uuid] = value if isinstance(value, ServiceState) else None
    return found


def _names_used(value: Model) -> Iterator[DN]:
    match value:
        case Service():
            yield from value.displaces
        case ServiceState():
            yield from filter(None, (value.holder, value.candidate, value.previous))
        case _:
            yield from _links(value)


def _links(value: Server | Cluster) -> Iterator[DN]:
    yield from value.service_links
    if isinstance(value, Server):
        yield from value.cluster_links
    elif value.active is not None:
        yield value.active


def _problems(index: Index, me: Record | None, my_dn: DN, records: Iterable[Record]) -> Iterator[Problem]:
    if me is None:
        yield Problem(
            str(my_dn),
            "the directory has no such entry that this server may read; add it, or correct "
            "[server] dn; until then nothing changes here",
        )
        return
    mine = {me.uuid, *(record.uuid for key in me.links if (record := index.named(key)) is not None)}
    for record in records:
        if record.whole is None:
            continue
        yield from record.whole.problems
        value = record.whole.value
        if record.uuid in mine and isinstance(value, Server | Cluster):
            for link in sorted(_links(value), key=lambda link: link.key):
                yield from _link_problems(index, value, link)


def _link_problems(index: Index, value: Server | Cluster, link: DN) -> Iterator[Problem]:
    target = index.named(link.key)
    if target is None:
        yield Problem(str(value.dn), f"links to {link}, which does not exist; add it, correct the link, or remove it")
        return
    if target.key != link.key:
        yield Problem(str(value.dn), f"links to {link}, which was renamed to {target.key}; correct the link")
    found = target.whole.value if target.whole else None
    if found is not None and not isinstance(found, _expected(value, link)):
        kind = type(found).__name__.lower()
        yield Problem(str(value.dn), f"links to {link}, which is a {kind}; a link of that kind leads nowhere")


def _expected(value: Server | Cluster, link: DN) -> type[Server | Cluster | Service]:
    if link in value.service_links:
        return Service
    return Cluster if isinstance(value, Server) else Server
