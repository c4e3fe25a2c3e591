"""What the agent needs of its server: template sets, files, addresses, units, programs, and what survives a restart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from relocd.errors import Invalid
from relocd.model.entries import ServiceAddress
from relocd.model.health import Check
from relocd.model.host import FileState, HeldAddress, Interface, NewFile, Probe, SentHeartbeats, UnitState
from relocd.model.template_set import TemplateSet
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import GoalId
from relocd.reconcile.health import PlannedText
from relocd.reconcile.spec import PlannedFile
from relocd.reconcile.template_context import TemplateContext

__all__ = [
    "Addresses",
    "Commands",
    "Files",
    "HeartbeatRecord",
    "Ledger",
    "Probes",
    "Rendered",
    "Renderer",
    "TemplateSets",
    "Units",
    "Wire",
]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text of one template; `secret` when it looked at a secret."""

    text: str = field(repr=False)
    secret: bool


class Renderer(Protocol):
    """Templates to text, out of the agent's own process."""

    async def render(
        self, files: Sequence[PlannedFile | PlannedText], context: TemplateContext
    ) -> Sequence[Rendered | Invalid]:
        """The rendered text of each file or text, or an `Invalid` with set, place and line, also for a time-out."""
        ...


class TemplateSets(Protocol):
    """The template sets on this server, re-read when they change on disk."""

    def get(self, name: str) -> TemplateSet:
        """The set of that name; raises `Invalid` when there is none or its manifest is wrong."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` in the event loop, debounced, after any set changed on disk."""
        ...


class Files(Protocol):
    """Configuration files, replaced whole or not at all."""

    async def states(self, targets: Iterable[str]) -> Mapping[str, FileState | None]:
        """What is at each target now; None where there is no file."""
        ...

    async def content(self, target: str) -> bytes | None:
        """The content at a target, for showing a difference; None where there is no file."""
        ...

    async def install(self, files: Sequence[NewFile]) -> None:
        """Write all beside their targets, check all, then rename all; an error leaves every old file in place.

        What was prepared exactly so is only renamed; where anything of it does not fit any more, all is done anew.
        """
        ...

    async def prepare(self, files: Sequence[NewFile]) -> None:
        """Write and check as `install` does, and leave the files beside their targets; an error leaves none there.

        Doing it again for the same files does nothing while all is as it was left. It replaces what was prepared for
        any of the targets before.
        """
        ...

    async def discard(self, targets: Iterable[str]) -> None:
        """Remove what was prepared for any of these targets, with all that was prepared along with it; no errors."""
        ...

    async def keep(self, target: str) -> None:
        """Give what is at a target another name too, `TARGET.relocd-orig`; nothing where it has one."""
        ...

    async def remove(self, target: str) -> None:
        """Remove the file; nothing happens where there is none."""
        ...


class Addresses(Protocol):
    """The addresses of this host over netlink, kept current by its events."""

    def interfaces(self) -> Sequence[Interface]:
        """The interfaces as they are now."""
        ...

    def held(self) -> Sequence[HeldAddress]:
        """Every address on every interface as it is now."""
        ...

    def copies(self, addresses: Iterable[ServiceAddress]) -> Sequence[HeldAddress]:
        """Those with the IP of one of these addresses, whatever their prefix length; found without a look at all."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` in the event loop after any address or interface changed."""
        ...

    async def add(self, interface: str, address: ServiceAddress, lifetime_s: int | None = None) -> None:
        """Raise an address and mark it as ours; nothing happens when it is there and ours, whatever its lifetime.

        With a lifetime in whole seconds, at least 1, the kernel drops it by itself when that has run out. Raises
        `Failed` when somebody else's address is in the way or the kernel refuses.
        """
        ...

    async def extend(self, interface: str, address: ServiceAddress, lifetime_s: int | None) -> None:
        """Let an address of ours that is there stay for that long from now, or for ever with None.

        Raises `Failed` when it is not there or not ours; it is not raised anew.
        """
        ...

    async def check(self, interface: str, address: ServiceAddress) -> None:
        """Raise `Failed` when an address could not be raised now, for whatever this host can tell without trying."""
        ...

    async def drop(self, interface: str, address: ServiceAddress) -> None:
        """Drop an address of ours; nothing happens when it is gone. Raises `Failed` for a foreign one."""
        ...


class Wire(Protocol):
    """ARP (RFC 826, RFC 5227) and neighbour discovery (RFC 4861, RFC 4862) for service addresses."""

    async def probe(self, interface: Interface, addresses: Sequence[ServiceAddress]) -> Sequence[Probe]:
        """Ask for all addresses at once, several times, and say who answered; returns early on an answer."""
        ...

    async def contested(self, interface: Interface, addresses: Sequence[ServiceAddress]) -> Sequence[Probe]:
        """Ask likewise for addresses that this host has itself, and say which other host has one, too."""
        ...

    async def reach(self, ip: IPv4Address | IPv6Address) -> None:
        """Return once a neighbour has answered for an address; raises `Failed` where that cannot be asked."""
        ...

    async def announce(self, interface: Interface, addresses: Sequence[ServiceAddress]) -> None:
        """Tell all neighbours once that the addresses are here now."""
        ...


class Units(Protocol):
    """The units of this host's service manager."""

    async def state(self, name: str) -> UnitState:
        """The state now; UNKNOWN for a unit that the manager does not know."""
        ...

    async def check(self, name: str) -> None:
        """Raise `Failed` when a unit could not be started now, whatever the unit is: its record could not be kept."""
        ...

    async def trouble(self, name: str) -> str:
        """What keeps a unit from being relied on, and what to do; empty where nothing is known against it.

        There is no such unit, it ends as soon as it has started, or it crashes again and again.
        """
        ...

    async def start(self, name: str) -> None:
        """Start and wait until it runs; raises `Failed` with the manager's reason, also after the time limit."""
        ...

    async def stop(self, name: str) -> None:
        """Stop and wait until it has stopped; raises `Failed` likewise."""
        ...

    async def reload(self, name: str) -> None:
        """Reload, or restart where the unit cannot reload; raises `Failed` likewise."""
        ...

    async def restart(self, name: str) -> None:
        """Restart and wait until it runs; raises `Failed` likewise."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` in the event loop after a unit that was asked for has changed its state."""
        ...


class Commands(Protocol):
    """Programs named by template sets and the local configuration."""

    def finds(self, program: str) -> bool:
        """Whether there is such a program on this server."""
        ...

    def run(self, arguments: Sequence[str], timeout_s: float) -> Awaitable[None]:
        """Run to the end without a shell; raises `Failed` with the last lines of its output."""
        ...


class Probes(Protocol):
    """Questions to services over the network; whoever asks sets the time limit, by cancelling."""

    async def probe(self, check: Check) -> None:
        """Make a check of HTTP, TCP, DNS or NTP once; raises `Failed` with the reason when it fails."""
        ...


class Ledger(Protocol):
    """The footprints of this server's goals; they survive a crash and a boot."""

    def all(self) -> Mapping[GoalId, Footprint]:
        """Every footprint, as of the start; a damaged one is set aside and logged, not trusted."""
        ...

    async def intend(self, goal: GoalId, footprint: Footprint) -> None:
        """Keep what is about to be left here. It survives the agent's crash; the disk is not waited for."""
        ...

    async def save(self, goal: GoalId, footprint: Footprint) -> None:
        """Keep a footprint; it is on disk when this returns, and nothing is written when it is already."""
        ...

    async def forget(self, goal: GoalId) -> None:
        """Drop a footprint of which nothing is left here."""
        ...


class HeartbeatRecord(Protocol):
    """The heartbeats of this server's agents since the machine was booted; what is kept does not outlive that."""

    def load(self) -> SentHeartbeats:
        """What was kept last; nothing where there is none, or none that can be trusted."""
        ...

    async def keep(self, sent: SentHeartbeats) -> None:
        """Replace what is kept; a failure is logged: without it the next agent waits longer, and no more than that."""
        ...
