"""Which entries concern a server: itself, what it is linked to or holds, who else is linked to that, and the state.

Pure over the content's links, and its cost depends only on what concerns the server, not on the size of the directory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relocd.model.entries import EntryUUID
from relocd.sync.index import Index, Record

__all__ = ["Interest", "concern_of"]


@dataclass(frozen=True, slots=True)
class Interest:
    """The entries to keep whole, and the names at which an entry that appears would be one of them.

    `mine` are the names of the server itself: a state that comes to use one concerns it, linked or not.
    """

    uuids: frozenset[EntryUUID] = frozenset()
    keys: frozenset[str] = frozenset()
    mine: frozenset[str] = frozenset()

    def touches(self, record: Record | None) -> bool:
        """Whether a record, before or after a change, is of concern: itself, its name, or by what it names."""
        if record is None:
            return False
        linking = not self.keys.isdisjoint(record.links)
        naming = record.is_state and not self.mine.isdisjoint(record.servers)
        return record.uuid in self.uuids or record.key in self.keys or linking or naming


def concern_of(content: Index, me: Record | None, my_key: str) -> Interest:
    """The concern of the server `me`, or of the name `my_key` while no such entry exists."""
    if me is None:
        return Interest(frozenset(), frozenset({my_key}))
    mine = _names(content, [me])
    linked = [*_records(content, me.links), *_states_naming(content, mine)]
    beyond = [link for record in linked for link in record.links]  # services of my clusters, and those I hold
    targets = [*linked, *_records(content, beyond)]
    keys = frozenset((*me.links, *beyond, *_names(content, targets)))
    sharing = _linking(content, keys)  # servers and clusters that are linked to the same, and states
    members = _linking(content, _names(content, sharing))  # servers of those clusters
    called = [key for record in (me, *linked, *sharing) for key in record.servers]
    holders = _records(content, (key for record in sharing if record.is_state for key in record.servers))
    records = (me, *targets, *sharing, *members, *holders)
    uuids = frozenset(record.uuid for record in records)
    return Interest(uuids, keys.union((my_key,), called, _names(content, records)), mine)


def _records(content: Index, keys: Iterable[str]) -> list[Record]:
    return [record for key in keys if (record := content.named(key)) is not None]


def _states_naming(content: Index, keys: Iterable[str]) -> list[Record]:
    records = (content.get(uuid) for key in keys for uuid in content.naming(key))
    return [record for record in records if record is not None and record.is_state]


def _names(content: Index, records: Iterable[Record]) -> frozenset[str]:
    """The names at which some entries are found, also those that they had before."""
    key_of = {record.uuid: record.key for record in records}
    former = (key for key, uuid in content.former.items() if uuid in key_of)
    return frozenset((*key_of.values(), *former))


def _linking(content: Index, keys: frozenset[str]) -> list[Record]:
    uuids = frozenset[EntryUUID]().union(*(content.linking_to(key) for key in keys))
    return [record for uuid in uuids if (record := content.get(uuid)) is not None]
