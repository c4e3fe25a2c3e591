"""The state of a host as values: interfaces, addresses, files and units. Adapters return them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from relocd.model.entries import ServiceAddress

__all__ = [
    "FileState",
    "HeldAddress",
    "Interface",
    "NewFile",
    "Probe",
    "Restarts",
    "SentHeartbeats",
    "UnitState",
    "no_unit",
]

_RESTART_WINDOW_S: Final = 60.0
_MOST_RESTARTS: Final = 1
"""One restart may have helped; a second one within the window is a unit that crashes again and again."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface: `addresses` are its own, not relocd's; `mac` is empty where it is not Ethernet.

    `up` means with a carrier. `altnames` are its other names (ip-link(8)), `carrier_ups` counts how often the carrier
    has come back.
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
    packed: bytes = field(init=False, repr=False, compare=False)
    """The IP alone, without the prefix length: made once, since every round compares it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "packed", self.address.packed)


class UnitState(StrEnum):
    """A unit as its manager sees it, in the words of systemd's ActiveState."""

    ACTIVE = "active"
    ACTIVATING = "activating"
    DEACTIVATING = "deactivating"
    INACTIVE = "inactive"
    FAILED = "failed"
    UNKNOWN = "unknown"


def no_unit(name: str) -> str:
    """The problem of a unit that its manager does not know."""
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
    """The answer to an ARP or ND probe: the MAC of a host that has the address, or None if none answered."""

    address: ServiceAddress
    answered_by: str | None


@dataclass(frozen=True, slots=True)
class SentHeartbeats:
    """The last heartbeats of an agent, kept for the next agent on this machine; times are of the monotonic clock.

    `sent` has the time at which each was sent, `confirmed_at` that of the last one that came back. Since `back_at` none
    was missing for a lease; `back_csn` is the newest entryCSN of what the search had brought by then.
    """

    sent: Mapping[str, float] = field(default_factory=dict)
    confirmed_at: float | None = None
    back_at: float = 0.0
    back_csn: str = ""


class Restarts:
    """How often the service manager has restarted one unit since its last ordinary start, by the monotonic clock."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, count: int, now: float) -> None:
        """Take the manager's count at a time; a smaller one than before follows an ordinary start."""
        if self._seen and count < self._seen[-1][1]:
            self._seen.clear()
        if not self._seen or count != self._seen[-1][1]:
            self._seen.append((now, count))

    def within_window(self, now: float) -> int:
        """The restarts of the last minute; 0 also for a single one, which may have helped."""
        while len(self._seen) > 1 and now - self._seen[1][0] > _RESTART_WINDOW_S:
            self._seen.popleft()
        more = self._seen[-1][1] - self._seen[0][1] if self._seen else 0
        return more if more > _MOST_RESTARTS else 0
