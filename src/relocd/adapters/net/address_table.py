"""The table of links and addresses of this host, kept current by the kernel's messages. Pure.

`rtnetlink` turns messages into `InterfaceChange`s. They must be applied in the order in which they were sent.
`addresses` decides by the table.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from relocd.model.entries import ServiceAddress

__all__ = ["Assigned", "InterfaceChange", "Link", "AddressTable"]

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Link:
    """A link; `up` means with a carrier, `promotes` is its promote_secondaries (ip-sysctl).

    `mac` is empty unless it is Ethernet. `altnames` are its other names. `carrier_ups` counts how often the carrier has
    come back: of one that is lost for a moment only, the kernel reports the state afterwards.
    """

    index: int
    name: str
    mac: bytes
    up: bool
    promotes: bool
    altnames: tuple[str, ...] = ()
    carrier_ups: int = 0


@dataclass(frozen=True, slots=True)
class Assigned:
    """An address on the link of that index; `protocol` is its IFA_PROTO, None where the kernel reports none.

    `secondary` is an IPv4 address that goes with the first address of its network on that link.
    """

    index: int
    address: ServiceAddress
    protocol: int | None
    secondary: bool


@dataclass(frozen=True, slots=True)
class InterfaceChange:
    """A link or an address that was added or changed, or is gone."""

    fact: Link | Assigned
    gone: bool


class AddressTable:
    """All links by index, and the addresses of each link; `revision` counts its changes.

    `shows_protocols` says whether the kernel reports IFA_PROTO (Linux 5.18); it marks its own addresses as well, such
    as that of `lo`.
    """

    def __init__(self) -> None:
        self.links: dict[int, Link] = {}
        self.shows_protocols = False
        self.revision = 0
        self._assigned: dict[int, dict[ServiceAddress, Assigned]] = {}

    def apply(self, change: InterfaceChange) -> bool:
        """Apply a change; return whether the table has changed."""
        changed = self._applied(change)
        self.revision += changed
        return changed

    def _applied(self, change: InterfaceChange) -> bool:
        fact = change.fact
        if isinstance(fact, Assigned):
            self.shows_protocols = self.shows_protocols or fact.protocol is not None
            return _noted(self._assigned.setdefault(fact.index, {}), fact.address, fact, gone=change.gone)
        if change.gone:
            self._assigned.pop(fact.index, None)
        return _noted(self.links, fact.index, fact, gone=change.gone)

    def link(self, name: str) -> Link | None:
        """The link of that name or altname."""
        return next((link for link in self.links.values() if name == link.name or name in link.altnames), None)

    def on(self, link: Link) -> Collection[Assigned]:
        """The addresses of a link."""
        return self._assigned.get(link.index, {}).values()

    def find(self, link: Link, address: ServiceAddress) -> Assigned | None:
        """That address with that prefix length on that link."""
        return self._assigned.get(link.index, {}).get(address)

    def dependants(self, link: Link, first: Assigned) -> Sequence[Assigned]:
        """The secondary addresses that the kernel drops with `first`, unless promote_secondaries is set."""
        if first.secondary:
            return ()
        network = first.address.network
        return [each for each in self.on(link) if each.secondary and each.address.network == network]


def _noted(table: dict[_Key, _Value], key: _Key, value: _Value, *, gone: bool) -> bool:
    if gone:
        return table.pop(key, None) is not None
    news = table.get(key) != value
    table[key] = value
    return news
