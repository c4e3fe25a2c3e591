"""A provider of content synchronisation in memory that says as little as slapd does: for the fuzzer `syncrepl`.

It tells of a renamed entry and not of what is below it; it resumes by change numbers alone, so that what it stamps with
an older one is passed over; and its database may be exchanged for another one while nobody listens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from uuid import UUID

from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.sync.messages import EntryState, IdSet, PhaseEnd, SyncInfo, SyncState
from relocd.sync.session import SyncCookie
from tests.support.entries import BASE, csn

__all__ = ["ME", "Message", "Tree"]

Message = tuple[SyncState, Entry | None] | SyncInfo

ME = f"cn=me,ou=a,{BASE}"
_RDNS = ("cn=web", "cn=db", "cn=me", "cn=twin", "ou=a", "ou=b")
_KINDS = {"cn=web": "relocService", "cn=db": "relocService", "cn=me": "relocServer", "cn=twin": "relocServer"}
_FAR = 1000


@dataclass
class Tree:
    """What the provider has; `newest` is the change number that its cookies say."""

    random: Random
    entries: dict[EntryUUID, Entry] = field(default_factory=dict)
    newest: str = ""
    _log_from: str = ""  # what was deleted before is not known any more
    _gone: list[tuple[str, EntryUUID]] = field(default_factory=list)
    _made: int = 0
    _clock: int = 100 * _FAR

    def __post_init__(self) -> None:
        for dn in (BASE, f"ou=a,{BASE}", f"ou=b,{BASE}", ME):
            self._put(self._entry(DN.parse(dn)))

    @property
    def cookie(self) -> str:
        return f"rid=000,csn={self.newest}"

    def change(self) -> Iterator[Message]:
        """Something happens; what a search that persists tells of it."""
        yield from self.random.choice((self._add, self._add, self._modify, self._rename, self._swap, self._delete))()

    def set_back(self) -> None:
        """The provider's clock was ahead, by more than the rest of the case takes, and is set right."""
        self._clock -= _FAR
        self._log_from = self.newest  # a deletion's number is told to nobody: only its being absent is

    def exchange(self) -> None:
        """Another database comes up: the same entries with other identities, or only the one at the top."""
        entries = sorted(self.entries.values(), key=lambda entry: len(entry.dn.key))
        self.entries, self._gone = {}, []
        for entry in entries[:1] if self.random.randrange(2) else entries:
            new = replace(entry, uuid=self._identity())
            self.entries[new.uuid] = new
        self._log_from = self.newest
        if self.random.randrange(2):
            self._stamp()

    def refresh(self, cookie: SyncCookie | None) -> Iterator[Message]:
        """All messages of a refresh."""
        if cookie is None:
            yield from self._shuffled(map(_added, self.entries.values()))
            yield PhaseEnd(self.random.randrange(2) == 0, refresh_done=True, cookie=self.cookie)
            return
        known = cookie.csns[0]
        deletes = self.random.randrange(2) == 0 and known > self._log_from
        changed = [_added(each) for each in self.entries.values() if each.csn > known]
        gone = tuple(uuid for at, uuid in self._gone if at > known and uuid not in self.entries)
        same = tuple(each.uuid for each in self.entries.values() if each.csn <= known)
        told = IdSet(deletes, gone if deletes else same, None)
        yield from self._shuffled([*changed, told])
        yield PhaseEnd(deletes, refresh_done=True, cookie=self.cookie)

    def _add(self) -> Iterator[Message]:
        above = self.random.choice(list(self.entries.values())).dn
        rdn = "cn=state" if above.key.startswith(("cn=web", "cn=db")) else self.random.choice(_RDNS)
        if above.key.startswith("cn=") and rdn != "cn=state":
            return
        if self._is_free(dn := above.below(rdn)):
            yield _added(self._put(self._entry(dn)))

    def beat(self) -> Iterator[Message]:
        """An agent writes its heartbeat: here, to the entry at the top."""
        yield _modified(self._put(self._top))

    def _modify(self) -> Iterator[Message]:
        entry = self._any()
        yield _modified(self._put(replace(self._entry(entry.dn), uuid=entry.uuid)))

    def _rename(self) -> Iterator[Message]:
        entry = self._any()
        if entry.dn.key == BASE:
            return
        folders = [each.dn for each in self.entries.values() if each.dn.key.startswith("ou=")]
        above = self.random.choice([entry.dn.parent, *folders])
        rdns = [rdn for rdn in _RDNS if rdn[:2] == entry.dn.key[:2]]
        new = above.below(self.random.choice(rdns))
        if entry.dn.key.startswith("cn=state") or above.is_within(entry.dn) or not self._is_free(new):
            return
        yield self._renamed(entry, new)

    def _swap(self) -> Iterator[Message]:
        one, two = self._any(), self._any()
        names = one.dn, two.dn
        if (
            BASE in (names[0].key, names[1].key)
            or any("cn=state" in dn.key for dn in names)
            or names[0].is_within(names[1])
            or names[1].is_within(names[0])
        ):
            return
        yield self._renamed(one, names[0].parent.below("cn=between"))
        yield self._renamed(self.entries[two.uuid], names[0])
        yield self._renamed(self.entries[one.uuid], names[1])

    def _renamed(self, entry: Entry, new: DN) -> Message:
        for each in list(self.entries.values()):
            if each.dn != entry.dn and each.dn.is_within(entry.dn):
                self.entries[each.uuid] = replace(each, dn=each.dn.moved(entry.dn.key, new))
        return _modified(self._put(replace(entry, dn=new)))

    def _delete(self) -> Iterator[Message]:
        entry = self._any()
        if entry.dn.key == BASE or any(
            each.dn != entry.dn and each.dn.is_within(entry.dn) for each in self.entries.values()
        ):
            return
        del self.entries[entry.uuid]
        self._gone.append((self._stamp(), entry.uuid))
        yield SyncState(EntryState.DELETE, entry.uuid, self.cookie), None

    def _any(self) -> Entry:
        return self.random.choice([each for each in self.entries.values() if each.dn.key != BASE] or [self._top])

    @property
    def _top(self) -> Entry:
        return next(iter(self.entries.values()))

    def _is_free(self, dn: DN) -> bool:
        return all(each.dn != dn for each in self.entries.values())

    def _entry(self, dn: DN) -> Entry:
        rdn = dn.key.partition(",")[0]
        kind = "relocServiceState" if rdn == "cn=state" else _KINDS.get(rdn, "organizationalUnit")
        names = [each.dn.text.encode() for each in self.entries.values()]
        linked = tuple(self.random.choice(names) for _ in range(self.random.randrange(3)) if names)
        values = {"objectclass": (kind.encode(),)}
        if kind == "relocServer":
            values["relocservicelink"] = linked
        if kind == "relocServiceState":
            values["relocholder"] = linked[:1]
        return Entry(self._identity(), dn, "", values)

    def _put(self, entry: Entry) -> Entry:
        self.entries[entry.uuid] = stamped = replace(entry, csn=self._stamp())
        return stamped

    def _stamp(self) -> str:
        self._clock += 1
        stamp = csn(self._clock)
        self.newest = max(self.newest, stamp)
        return stamp

    def _identity(self) -> EntryUUID:
        self._made += 1
        return EntryUUID(str(UUID(int=self._made)))

    def _shuffled(self, messages: object) -> list[Message]:
        found: list[Message] = list(messages)  # type: ignore[call-overload]
        self.random.shuffle(found)
        return found


def _added(entry: Entry) -> Message:
    return SyncState(EntryState.ADD, entry.uuid, None), entry


def _modified(entry: Entry) -> Message:
    return SyncState(EntryState.MODIFY, entry.uuid, f"rid=000,csn={entry.csn}"), entry
