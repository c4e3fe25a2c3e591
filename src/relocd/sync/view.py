"""What concerns a server, taken from the index: its interest, and the snapshot of those entries with their problems.

Of interest are the server itself, its services, their states, and the servers and clusters that are linked to these.
Pure. The cost depends on how much is of interest, not on the size of the directory. A change of one state, of which
every move of a service has several, mostly concerns that state alone (`with_state`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from relocd.model.dn import DN
from relocd.model.entries import Cluster, EntryUUID, Problem, Server, Service, ServiceState, Snapshot
from relocd.model.parse import Model
from relocd.sync.index import Index, Record

__all__ = ["Interest", "interest_of", "snapshot_of", "with_state"]


@dataclass(frozen=True, slots=True)
class Interest:
    """The entries that concern a server and are kept whole, and the names under which a new entry would be one of them.

    `mine` are the names of the server itself: a state that names it is of interest, linked or not. `linked` are the
    services that it is linked to, and `lasting` servers and clusters that are of interest whatever the states say.
    """

    uuids: frozenset[EntryUUID] = frozenset()
    keys: frozenset[str] = frozenset()
    mine: frozenset[str] = frozenset()
    linked: frozenset[str] = frozenset()
    lasting: frozenset[str] = frozenset()

    def touches(self, record: Record | None) -> bool:
        """Whether a record, before or after a change, is of interest by its identity, its name or its links."""
        if record is None:
            return False
        linking = not self.keys.isdisjoint(record.links)
        naming = record.is_state and not self.mine.isdisjoint(record.servers)
        return record.uuid in self.uuids or record.key in self.keys or linking or naming

    def with_state(self, before: Record | None, now: Record) -> Interest | None:
        """The interest after a change of a state, or with a new one; None where it may be quite another.

        It is the same while the service is linked here and all servers, named before and now, are of interest anyway.
        """
        if not now.is_state or self.linked.isdisjoint(now.links) or not self.lasting.issuperset(now.servers):
            return None
        if before is None:
            grown = replace(self, uuids=self.uuids | {now.uuid}, keys=self.keys | {now.key})
            return None if now.key in self.keys else grown
        same = before.is_state and (before.key, before.links) == (now.key, now.links) and before.uuid in self.uuids
        return self if same and self.lasting.issuperset(before.servers) else None


def interest_of(index: Index, me: Record | None, my_key: str) -> Interest:
    """The interest of the server `me`, or of the name `my_key` while no such entry exists."""
    if me is None:
        return Interest(frozenset(), frozenset({my_key}))
    mine = _names(index, [me])
    linked = [*_records(index, me.links), *_states_naming(index, mine)]
    beyond = [link for record in linked for link in record.links]  # services of its clusters, and those it holds
    targets = [*linked, *_records(index, beyond)]
    keys = frozenset((*me.links, *beyond, *_names(index, targets)))
    sharing = _linking(index, keys)  # servers and clusters with a link to the same, and states
    members = _linking(index, _names(index, sharing))  # servers of those clusters
    called = [key for record in (me, *linked, *sharing) for key in record.servers]
    holders = _records(index, (key for record in sharing if record.is_state for key in record.servers))
    records = (me, *targets, *sharing, *members, *holders)
    uuids = frozenset(record.uuid for record in records)
    own = frozenset((*me.links, *(link for record in _records(index, me.links) for link in record.links)))
    lasting = (each.key for each in (*sharing, *members) if not (each.is_state or own.isdisjoint(each.links)))
    keys = keys.union((my_key,), called, _names(index, records))
    return Interest(uuids, keys, mine, own, frozenset((me.key, *lasting)))


def _records(index: Index, keys: Iterable[str]) -> list[Record]:
    return [record for key in keys if (record := index.named(key)) is not None]


def _states_naming(index: Index, keys: Iterable[str]) -> list[Record]:
    records = (index.get(uuid) for key in keys for uuid in index.naming(key))
    return [record for record in records if record is not None and record.is_state]


def _names(index: Index, records: Iterable[Record]) -> frozenset[str]:
    """The names by which some entries are found, former ones included."""
    key_of = {record.uuid: record.key for record in records}
    former = (key for key, uuid in index.former.items() if uuid in key_of)
    return frozenset((*key_of.values(), *former))


def _linking(index: Index, keys: frozenset[str]) -> list[Record]:
    uuids = frozenset[EntryUUID]().union(*(index.linking_to(key) for key in keys))
    return [record for uuid in uuids if (record := index.get(uuid)) is not None]


def snapshot_of(index: Index, me: Record | None, my_dn: DN, interest: Interest) -> Snapshot:
    """The entries of interest as values, with every name that their links use and every problem in them."""
    records = [record for uuid in sorted(interest.uuids) if (record := index.get(uuid)) is not None]
    values = [record.whole.value for record in records if record.whole and record.whole.value]
    known = {value.uuid for value in values}
    servers = {value.uuid: value for value in values if isinstance(value, Server)}
    clusters = {value.uuid: value for value in values if isinstance(value, Cluster)}
    links = {link for value in values for link in _names_used(value)} | {each.dn for each in servers.values()}
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


def with_state(snapshot: Snapshot, index: Index, before: Record | None, now: Record) -> Snapshot | None:
    """The snapshot after a change that left the interest as it was (`Interest.with_state`); None where more changes.

    The index has the new record.
    """
    values = [record.whole.value for record in (before, now) if record is not None and record.whole]
    states = [value for value in values if isinstance(value, ServiceState)]
    service, state = index.named(now.links[0]), states[-1] if states else None
    if state is None or service is None or len(states) < (1 if before is None else 2):
        return None
    named = snapshot.targets(link for each in states for link in _names_used(each))
    known = all(link in snapshot.names for each in states for link in _names_used(each))
    if not (known and named <= snapshot.servers.keys()):
        return None
    return replace(snapshot, states={**snapshot.states, service.uuid: state})


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
