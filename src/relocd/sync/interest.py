"""The entries that are of interest to a server: itself, its services, their states, and who else is linked to them.

Pure, over the links in the index. The cost depends on how much is of interest, not on the size of the directory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relocd.model.entries import EntryUUID
from relocd.sync.index import Index, Record

__all__ = ["Interest", "interest_of"]


@dataclass(frozen=True, slots=True)
class Interest:
    """The entries to keep whole, and the names under which a new entry would be one of them.

    `mine` are the names of the server itself: a state that names it is of interest, linked or not.
    """

    uuids: frozenset[EntryUUID] = frozenset()
    keys: frozenset[str] = frozenset()
    mine: frozenset[str] = frozenset()

    def touches(self, record: Record | None) -> bool:
        """Whether a record, before or after a change, is of interest by its identity, its name or its links."""
        if record is None:
            return False
        linking = not self.keys.isdisjoint(record.links)
        naming = record.is_state and not self.mine.isdisjoint(record.servers)
        return record.uuid in self.uuids or record.key in self.keys or linking or naming


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
    return Interest(uuids, keys.union((my_key,), called, _names(index, records)), mine)


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
