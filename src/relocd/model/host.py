"""What is seen of a host: interfaces, addresses, files and units as they are, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from relocd.model.entries import ServiceAddress

__all__ = ["FileState", "HeldAddress", "Interface", "NewFile", "Probe", "SentHeartbeats", "UnitState", "no_unit"]


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface: `addresses` are its own, not relocd's; `mac` is empty where it is not Ethernet.

    One without a carrier is not `up` either: nobody is reached over it. `altnames` are its other names (ip-link(8)),
    `carrier_ups` is how often it has got its carrier.
    """

    index: int
    name: str
    mac: bytes
    up: bool
    addresses: tuple[ServiceAddress, ...]
    altnames: tuple[str, ...] = ()
    carrier_ups: int = 0

    def is_called(self, name: str) -> bool:
        """Whether that is its name or one of its altnames; the kernel gives each to one interface only."""
        return name == self.name or name in self.altnames


@dataclass(frozen=True, slots=True)
class HeldAddress:
    """An address on an interface; `ours` when relocd raised it (its IFA_PROTO, or the record in the run folder)."""

    interface: str
    address: ServiceAddress
    ours: bool


class UnitState(StrEnum):
    """A unit as its manager sees it, in the words of systemd's ActiveState."""

    ACTIVE = "active"
    ACTIVATING = "activating"
    DEACTIVATING = "deactivating"
    INACTIVE = "inactive"
    FAILED = "failed"
    UNKNOWN = "unknown"


def no_unit(name: str) -> str:
    """What to say of a unit that its manager does not know."""
    return f"there is no unit {name} here; install it"


@dataclass(frozen=True, slots=True)
class FileState:
    """A file that exists: SHA-256 of its content in hexadecimal, owner, group and permission bits."""

    digest: str
    owner: str
    group: str
    mode: int


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to install: absolute `target`, whole content, and the checks it must pass before it replaces the old.

    `checks` are argument lists with `{file}` for the path of the new file. `secret` content is never shown.
    """

    target: str
    content: bytes = field(repr=False)
    digest: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o640
    checks: tuple[tuple[str, ...], ...] = ()
    check_timeout_s: float = 10.0
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """The answer to an ARP or ND probe: the MAC of a host that has the address, or None for silence."""

    address: ServiceAddress
    answered_by: str | None


@dataclass(frozen=True, slots=True)
class SentHeartbeats:
    """What an agent leaves of its heartbeats for the next one of this server; times are of the monotonic clock.

    `sent` is when each of the last ones was sent, `confirmed_at` when the last one was that came back. `back_at` is
    since when none was missing for a lease, `back_csn` the change that brought it back.
    """

    sent: Mapping[str, float] = field(default_factory=dict)
    confirmed_at: float | None = None
    back_at: float = 0.0
    back_csn: str = ""
