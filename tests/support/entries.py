"""Entries as a directory would send them, by short names: `service("web", relocAddress="192.0.2.10/24")`.

An entry's identity follows from its short name unless it is given, so a renamed entry keeps it: `uuid=uuid_of("web")`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID, uuid5

from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.model.parse import Model, parsed

__all__ = ["ME", "cluster", "csn", "dn", "entry", "server", "service", "state", "status", "understood", "uuid_of"]

BASE = "ou=relocd,dc=example,dc=org"
ME = f"cn=me,{BASE}"
_NAMESPACE = UUID("a5d3c4c0-53c1-4b1e-9d0a-3f1f3f0b6f6e")

Values = str | bytes | Iterable[str | bytes]


def dn(name: str) -> str:
    """The written name of the entry of that short name."""
    return f"cn={name},{BASE}"


def uuid_of(name: str) -> EntryUUID:
    """The identity of the entry that first had that short name."""
    return EntryUUID(str(uuid5(_NAMESPACE, name)))


def csn(number: int) -> str:
    """The change number of the directory's n-th change."""
    return f"20260101000000.{number:06}Z#000000#000#000000"


def entry(name: str, kind: str, *, uuid: EntryUUID | None = None, at: int = 0, **attributes: Values) -> Entry:
    """An entry of one class, changed last with change number `at`."""
    values: dict[str, tuple[bytes, ...]] = {"objectclass": (kind.encode(),), "cn": (name.encode(),)}
    values |= {key.lower(): _values(value) for key, value in attributes.items()}
    return Entry(uuid or uuid_of(name), DN.parse(dn(name)), csn(at), values)


def server(
    name: str,
    *,
    services: Iterable[str] = (),
    clusters: Iterable[str] = (),
    uuid: EntryUUID | None = None,
    at: int = 0,
    **attributes: Values,
) -> Entry:
    """A server linked to services and clusters by their short names."""
    links = {"relocServiceLink": map(dn, services), "relocClusterLink": map(dn, clusters)}
    return entry(name, "relocServer", uuid=uuid, at=at, **links | attributes)


def cluster(
    name: str,
    *,
    services: Iterable[str] = (),
    active: str | None = None,
    uuid: EntryUUID | None = None,
    at: int = 0,
    **attributes: Values,
) -> Entry:
    """A cluster linked to services, with its active server, by their short names."""
    links = {"relocServiceLink": map(dn, services), "relocActive": () if active is None else dn(active)}
    return entry(name, "relocCluster", uuid=uuid, at=at, **links | attributes)


def service(name: str, *, uuid: EntryUUID | None = None, at: int = 0, **attributes: Values) -> Entry:
    """A service."""
    return entry(name, "relocService", uuid=uuid, at=at, **attributes)


def state(
    name: str,
    *,
    holder: str | None = None,
    candidate: str | None = None,
    previous: str | None = None,
    generation: int | None = 1,
    at: int = 0,
) -> Entry:
    """The state of a service, servers by their short names."""
    named = {"relocHolder": holder, "relocCandidate": candidate, "relocPrevious": previous}
    values = {key: dn(server) for key, server in named.items() if server is not None}
    if generation is not None:
        values["relocGeneration"] = str(generation)
    below = f"cn=state,{dn(name)}"
    found = entry("state", "relocServiceState", uuid=uuid_of(f"state of {name}"), at=at, **values)
    return replace(found, dn=DN.parse(below))


def status(name: str, *, heartbeat: str = "20260101000000.0Z", at: int = 0, **attributes: Values) -> Entry:
    """The status of a server."""
    uuid = uuid_of(f"status of {name}")
    found = entry("status", "relocServerStatus", uuid=uuid, at=at, relocHeartbeat=heartbeat, **attributes)
    return replace(found, dn=DN.parse(f"cn=status,{dn(name)}"))


def understood(found: Entry) -> Model:
    """The value of an entry that has no problem."""
    value, problems = parsed(found)
    assert value is not None, problems
    return value


def _values(value: Values) -> tuple[bytes, ...]:
    values = [value] if isinstance(value, str | bytes) else value
    return tuple(each.encode() if isinstance(each, str) else each for each in values)
