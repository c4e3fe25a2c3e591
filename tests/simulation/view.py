"""What an agent sees of the directory, as the code that ships sees it, and what it writes, as that code writes it.

`Direct` makes the ownership from the content at once; `Mirrored` goes the whole way: entries through the real `Mirror`,
its snapshot, and the real `ownership`. Both write through the real `write_of`; a modification becomes a comparison and
a change of the simulated directory's attributes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Final

from relocd.election.eligibility import OwnershipView, displacing, ownership
from relocd.election.observation import Eligible, State
from relocd.election.steps import Step
from relocd.election.writes import Creation, resend_of, write_of
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID, Service, ServiceState, Snapshot
from relocd.model.writes import Add, Delete, Modification, Replace
from relocd.sync.mirror import Mirror
from relocd.sync.session import RefreshDone, Started, Upsert
from tests.simulation.directory import NAMES, Content, Value, Write, link
from tests.support.entries import cluster, server, service, uuid_of

__all__ = ["Direct", "Mirrored", "Seeing", "written"]

_SERVICE: Final = service("web", relocAddress="192.0.2.10/24", relocTemplateSet="nginx")
_STATE: Final = _SERVICE.dn.below("cn=state")
_SERVERS: Final = {name: server(name, clusters=["pair"], uuid=name).dn for name in NAMES}
_NAMES: Final = {dn.key: name for name, dn in _SERVERS.items()}
_ATTRIBUTES: Final = {"holder": "relocHolder", "candidate": "relocCandidate", "previous": "relocPrevious"}


class Direct:
    """The view of an agent at the newest content that has reached it."""

    def __init__(self, me: EntryUUID, content: Content) -> None:
        self._me = me
        self.content = content

    def take(self, content: Content) -> None:
        """The next content arrives."""
        self.content = content

    @property
    def ownership(self) -> OwnershipView:
        return _ownership(self._me, self.content)


class Mirrored(Direct):
    """The same through the mirror: a refresh first, then only the entries that have changed."""

    def __init__(self, me: EntryUUID, content: Content) -> None:
        super().__init__(me, content)
        self._mirror = Mirror(_SERVERS[me])
        entries = map(Upsert, _entries(content))
        self._mirror.apply([Started("ldap://directory", fresh=True), *entries, RefreshDone()])
        self._fill(content)

    def take(self, content: Content) -> None:
        known = {each.uuid: each for each in _entries(self.content)}
        self._mirror.apply(Upsert(each) for each in _entries(content) if known.get(each.uuid) != each)
        self._fill(content)
        super().take(content)

    def _fill(self, content: Content) -> None:
        """What has come to be of concern is read directly."""
        missing = {record.uuid for record in self._mirror.missing}
        for each in _entries(content):
            if each.uuid in missing:
                self._mirror.fill(each)

    @property
    def ownership(self) -> OwnershipView:
        snapshot = self._mirror.snapshot
        if snapshot is None or snapshot.me is None:
            raise AssertionError("a mirror that has refreshed knows its server")
        return ownership(snapshot, snapshot.me, _service_of(snapshot), displacing(snapshot, snapshot.me))


Seeing = type[Direct]


@lru_cache(maxsize=2**16)
def _written(step: Step, me: EntryUUID, content: Content) -> Write | None:
    return _written_by(step, _ownership(me, content))


def _written_by(step: Step, ownership: OwnershipView) -> Write | None:
    write = write_of(step, ownership)
    return None if write is None else replace(_translated(write), again=_translated(resend_of(write, ownership)))


def written(step: Step, seen: Direct) -> Write | None:
    """The write of a step for what was seen, None where there is nothing to write."""
    if isinstance(seen, Mirrored):
        return _written_by(step, seen.ownership)
    return _written(step, seen.ownership.me, seen.content)


def _translated(write: Modification | Creation) -> Write:
    """A write of the real code as comparisons and changes of attributes."""
    if isinstance(write, Creation):
        given = ((name, values[0]) for name, values in write.attributes.items() if name.startswith("reloc"))
        values = tuple((_short(name), _value(name, value)) for name, value in given)
        return Write((("created", None),), (("created", True), *values), swapped=frozenset(("created",)))
    compared: dict[str, Value] = {}
    changed: dict[str, Value] = {}
    swapped: set[str] = set()
    if write.dn == _STATE:
        compared["created"] = True  # a modification of an entry that is not there is lost
    for change in write.changes:
        assert isinstance(change, Add | Delete | Replace), change
        name = _attribute(write.dn, change.attribute)
        value = _value(change.attribute, change.values[0]) if change.values else None
        if not isinstance(change, Replace):
            compared.setdefault(name, value if isinstance(change, Delete) else None)
            swapped.add(name)
        changed[name] = _deleted(change.attribute) if isinstance(change, Delete) else value
    if write.dn != _STATE:
        swapped.clear()
    compared |= _asserted(write.assertion or "")
    return Write(tuple(compared.items()), tuple(changed.items()), swapped=frozenset(swapped))


def _asserted(assertion: str) -> dict[str, Value]:
    """What a filter compares: `(name=value)`, `(!(name=*))`, or `(&...)` of such."""
    parts: list[tuple[str, str]] = re.findall(r"\((reloc\w+)=([^()]*)\)", assertion)
    return {_short(name): None if value == "*" else _value(name, value.encode()) for name, value in parts}


def _deleted(attribute: str) -> Value:
    """What is left of a value; of a link, which only other servers delete in this way, that one of them did."""
    return False if attribute == "relocServiceLink" else None


def _attribute(dn: DN, name: str) -> str:
    return link(_NAMES[dn.key]) if name == "relocServiceLink" else _short(name)


def _short(name: str) -> str:
    return name.removeprefix("reloc").lower()


def _value(name: str, value: bytes) -> Value:
    if name == "relocServiceLink":
        return True
    return int(value) if name == "relocGeneration" else _NAMES[DN.parse(value.decode()).key]


@lru_cache(maxsize=2**14)
def _ownership(me: EntryUUID, content: Content) -> OwnershipView:
    """What `ownership` gives for a content."""
    active = frozenset(filter(None, (content.cluster_active,)))
    state = content.state
    return OwnershipView(
        me=me,
        service=_SERVICE.dn,
        state=state,
        entry=None if not content.created else ServiceState(uuid_of("state"), _STATE, "", _SERVICE.dn, *_named(state)),
        eligible=Eligible(content.direct, active, frozenset(NAMES) - active),
        names=_SERVERS,
        links=dict.fromkeys(content.direct, _SERVICE.dn),
        fenced=content.fenced,
        unlinked_by_other=me in content.unlinked,
    )


def _named(state: State) -> tuple[DN | None, DN | None, DN | None, int | None]:
    holder, candidate, previous = (
        None if server is None else _SERVERS[server] for server in (state.holder, state.candidate, state.previous)
    )
    return holder, candidate, previous, state.generation or None


@lru_cache(maxsize=2**12)
def _entries(content: Content) -> tuple[Entry, ...]:
    """The entries that say so."""
    servers = (
        server(
            name,
            uuid=name,
            services=["web"] if name in content.direct else (),
            clusters=["pair"],
            relocFenced=["TRUE"] if name in content.fenced else (),
            modifiersName=_changed_by(name, content),
        )
        for name in NAMES
    )
    pair = cluster("pair", services=["web"], active=content.cluster_active)
    return (_SERVICE, pair, *servers, *(_state_entry(content.state) if content.created else ()))


def _changed_by(name: EntryUUID, content: Content) -> str:
    """Who has made the last change of a server's entry: another server, or a trigger."""
    other = next(each for each in NAMES if each != name)
    return _SERVERS[other].text if name in content.unlinked else "cn=trigger"


def _state_entry(state: State) -> tuple[Entry, ...]:
    values = {"objectclass": (b"relocServiceState",), "cn": (b"state",)}
    if state.generation:
        values["relocgeneration"] = (str(state.generation).encode(),)
    for name, attribute in _ATTRIBUTES.items():
        value = getattr(state, name)
        if value is not None:
            values[attribute.lower()] = (_SERVERS[value].text.encode(),)
    return (Entry(uuid_of("state"), _STATE, "", values),)


def _service_of(snapshot: Snapshot) -> Service:
    return snapshot.services[_SERVICE.uuid]
