"""Short ways to write what the rules of handover go by: servers by letters, states, and what has been written."""

from __future__ import annotations

from collections.abc import Iterable

from relocd.election.eligibility import OwnershipView, displacing, ownership
from relocd.election.observation import Eligible, State
from relocd.model.dn import DN
from relocd.model.entries import EntryUUID, ServiceState
from relocd.model.writes import Add, Change, Delete, Replace
from tests.support.directory import snapshot
from tests.support.entries import dn, state, understood, uuid_of

__all__ = ["eligible", "ownership_of", "seen", "short", "shown", "uuids"]


def uuids(names: str) -> frozenset[EntryUUID]:
    """The identities of servers whose short names are given in one text."""
    return frozenset(map(uuid_of, names.split()))


def eligible(direct: str = "", by_cluster: str = "", standby: str = "") -> Eligible:
    """The eligible servers by short names."""
    return Eligible(uuids(direct), uuids(by_cluster), uuids(standby))


def seen(*entries, service: str = "web") -> OwnershipView:
    """Who runs a service as the server `me` sees it in a directory with these entries."""
    found = snapshot(*entries)
    assert found.me is not None
    return ownership(found, found.me, found.services[uuid_of(service)], displacing(found, found.me))


def ownership_of(
    written: State | None, *, me: str = "me", chosen: Eligible | None = None, generation: bool = True
) -> OwnershipView:
    """What `me` sees of the service `web`, whose state is as written; identities in it are short names.

    Without `generation` the state has never changed hands.
    """
    entry, found = None, State()
    if written is not None:
        named = {"holder": written.holder, "candidate": written.candidate, "previous": written.previous}
        number = written.generation if generation else None
        value = understood(state("web", **named, generation=number))
        assert isinstance(value, ServiceState)
        entry, found = value, written
    direct = frozenset() if chosen is None else chosen.direct
    return OwnershipView(
        me=EntryUUID(me),
        service=DN.parse(dn("web")),
        state=found,
        entry=entry,
        eligible=chosen or Eligible(),
        names={EntryUUID(name): DN.parse(dn(name)) for name in ("me", "twin", "third")},
        links={server: DN.parse(dn("web")) for server in direct},
    )


def short(name: DN) -> str:
    """A name as these tests call it: `state of web`, `twin`."""
    return f"{name.name} of {name.parent.name}" if name.name in {"state", "status"} else name.name


def shown(changes: Iterable[Change]) -> list[str]:
    """Changes as text: `delete relocHolder: me`; names by their short names."""
    given = (change for change in changes if isinstance(change, Add | Delete | Replace))
    return [f"{change}: {', '.join(map(_shown, change.values))}".removesuffix(": ") for change in given]


def _shown(value: bytes) -> str:
    text = value.decode()
    return short(DN.parse(text)) if "=" in text else text
