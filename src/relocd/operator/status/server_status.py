"""The last status of a server's agent, read from its `cn=status`, as a value. Pure.

The entry's change number says when the directory heard it, by the clock of its provider; `relocHeartbeat`, by the clock
of the server, is only shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from relocd.errors import Invalid
from relocd.model import names
from relocd.model.csn import csn_time_s
from relocd.model.dn import DN
from relocd.model.entries import Entry
from relocd.model.mode import Mode
from relocd.model.parse import generation_of, lease_of
from relocd.model.settings import HandoverSettings
from relocd.printable import one_line

__all__ = ["ATTRIBUTES", "ServerStatus", "is_status", "server_status"]

ATTRIBUTES: Final = (
    names.HEARTBEAT,
    names.LEASE,
    names.AGENT_VERSION,
    names.MODE,
    names.ACTIVE_SERVICE,
    names.STANDBY_SERVICE,
    names.FAILED_SERVICE,
    names.PROBLEM,
    names.ACTED_ON,
)
"""What a status entry has to be read with."""
_LONGEST: Final = 1000


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The last status: `at_s` in seconds since 1970, None where the directory shows no change numbers.

    `says` is the state of services by their names (`DN.key`), `acted_on` the generation of each, by its identity, that
    this is about.
    """

    at_s: float | None
    heartbeat: str
    lease_s: float
    version: str
    mode: str
    says: dict[str, str]
    problems: tuple[str, ...]
    acted_on: Mapping[str, int] = field(default_factory=dict)

    def problems_of(self, service: str) -> tuple[str, ...]:
        """What is wrong with a service, by its cn, without that name; what concerns the whole server is left out."""
        named = f"{service}: "
        return tuple(each.removeprefix(named) for each in self.problems if each.startswith(named))

    def waits_of(self, service: str) -> tuple[str, ...]:
        """What keeps it, as candidate, from taking a service over, by the service's cn."""
        named = f"{service} waits: "
        return tuple(each.removeprefix(named) for each in self.problems if each.startswith(named))


def is_status(entry: Entry) -> bool:
    """Whether an entry is the status of the server above it."""
    classes = {name.lower() for name in entry.attributes.get("objectclass", ())}
    return names.STATUS_CLASS.lower().encode() in classes and entry.dn.key.startswith(f"{names.STATUS_RDN},")


def server_status(entry: Entry) -> ServerStatus:
    """The status in an entry; an invalid value in it counts as missing."""
    words = {"standby": names.STANDBY_SERVICE, "active": names.ACTIVE_SERVICE, "failed": names.FAILED_SERVICE}
    return ServerStatus(
        at_s=csn_time_s(entry.csn),
        heartbeat=_one(entry, names.HEARTBEAT),
        lease_s=lease_of(_one(entry, names.LEASE)) or HandoverSettings().lease_s,
        version=_one(entry, names.AGENT_VERSION),
        mode=_one(entry, names.MODE) or str(Mode.NORMAL),
        says={key: word for word, name in words.items() for key in _keys(entry, name)},
        problems=tuple(sorted(_all(entry, names.PROBLEM))),
        acted_on=dict(_acted_on(entry)),
    )


def _all(entry: Entry, name: str) -> list[str]:
    """The values as text: an agent writes short lines, and any other text is cut and made printable."""
    return [one_line(value.decode(errors="replace")[:_LONGEST]) for value in entry.attributes.get(name.lower(), ())]


def _one(entry: Entry, name: str) -> str:
    return next(iter(_all(entry, name)), "")


def _keys(entry: Entry, name: str) -> Iterator[str]:
    for value in entry.attributes.get(name.lower(), ()):
        with suppress(Invalid):
            yield DN.parse(value.decode(errors="replace")).key


def _acted_on(entry: Entry) -> Iterator[tuple[str, int]]:
    for value in _all(entry, names.ACTED_ON):
        service, _, generation = value.rpartition("=")
        with suppress(Invalid):
            yield service, generation_of(generation)
