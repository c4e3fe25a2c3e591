"""What the agent needs of the world, as protocols; `relocd.adapters` implements them.

Every method raises only errors of `relocd.errors`: `Unavailable` when an outside system does not answer,
`Failed` when it refused, `Invalid` when an input is wrong. Coroutines never block the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Attributes, Entry, EntryUUID, ServiceAddress
from relocd.model.figures import Health
from relocd.model.health import Check
from relocd.model.history import HistoryRecord
from relocd.model.host import FileState, HeldAddress, Interface, NewFile, Probe, SentHeartbeats, UnitState
from relocd.model.status import Mode, ServerStatus
from relocd.model.template_set import TemplateSet
from relocd.model.writes import Modification, Outcome
from relocd.reconcile.desired import Footprint
from relocd.reconcile.goals import GoalId
from relocd.reconcile.health import PlannedText
from relocd.reconcile.spec import PlannedFile
from relocd.reconcile.template_context import TemplateContext
from relocd.sync.saved import Saved
from relocd.sync.session import SyncEvent

__all__ = [
    "Addresses",
    "Cache",
    "Commands",
    "DirectoryReader",
    "DirectoryWriter",
    "Feed",
    "Files",
    "HeartbeatRecord",
    "Ledger",
    "Meter",
    "Notifier",
    "NotifyTarget",
    "Orders",
    "Probes",
    "Rendered",
    "Renderer",
    "HistoryStore",
    "StatusFile",
    "TemplateSets",
    "Units",
    "Wire",
]


class Feed(Protocol):
    """One persistent search that restarts itself."""

    def batches(self) -> AsyncIterator[Sequence[SyncEvent]]:
        """Events in the order the directory sent them; those that arrived together make one batch."""
        ...

    def restart(self, filter_: str, *, fresh: bool = False) -> None:
        """End the search that runs, if one does, and begin anew with that filter, at once; `fresh`: without cookie."""
        ...

    def hurry(self) -> None:
        """There may be a way to the directory again: try it at once, if the search does not run."""
        ...


class DirectoryReader(Protocol):
    """Direct reads on a connection of their own."""

    async def by_dn(self, dn: DN) -> Entry | None:
        """The entry of that name, or None when the directory says that there is none."""
        ...

    async def by_uuid(self, uuid: EntryUUID) -> Entry | None:
        """The entry of that identity below the base, or None when the directory says that there is none."""
        ...

    async def linking_to(self, service: DN) -> Sequence[Entry]:
        """Every server and cluster below the base with a direct link to that name."""
        ...


class DirectoryWriter(Protocol):
    """Writes on a connection of their own, each sent once at most and never again: the caller decides that.

    `Unavailable` and `Failed` mean that nothing is written: it could not be sent, or the server refused it for good.
    A write that is cancelled may be written all the same, as after `Unknown`.
    """

    async def apply(self, write: Modification) -> Outcome:
        """Make all changes, or none; raises `Invalid` for an assertion that is no filter."""
        ...

    async def create(self, dn: DN, attributes: Attributes) -> Outcome:
        """Add an entry; `Exists` when there is one of that name, `Lost` when there is none above it."""
        ...

    async def reach(self) -> None:
        """Return once the directory has answered on the connection that writes; raises `Unavailable` or `Failed`."""
        ...


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


class Cache(Protocol):
    """The mirror's state across restarts of the agent."""

    def load(self) -> Saved | None:
        """What was stored for this base and server, or None where there is nothing that can be trusted."""
        ...

    async def store(self, saved: Saved) -> None:
        """Replace what is stored."""
        ...


class Meter(Protocol):
    """Figures for whoever watches the agent from outside; nothing here may fail or wait."""

    def acted(self, step: str, took_s: float, outcome: str) -> None:
        """A step of a convergence was done, or the whole of one; `outcome` is done, waits or failed."""
        ...

    def searched(self) -> None:
        """A search of the directory was begun: the first, or another after a connection was lost."""
        ...

    def confirmed(self, age_s: float) -> None:
        """A heartbeat that was sent so long ago has come back."""
        ...

    def check_failed(self, service: str, check: str) -> None:
        """A health check has failed once; `service` is empty for one of the whole server."""
        ...

    def stand(self, standing: Health) -> None:
        """The services stand like that from now on."""
        ...

    def sent(self, what: str, outcome: str) -> None:
        """Something of a queue, such as `history` or `webhook`, was sent: done, failed, or dropped for newer ones."""
        ...


class HistoryStore(Protocol):
    """The histories of services in the directory, on a connection of their own that nothing else waits for."""

    async def add(self, service: DN, record: HistoryRecord) -> None:
        """Add a record below a service, and drop the oldest beyond what is kept; nothing where it is there already."""
        ...

    async def status(self, server: DN) -> ServerStatus | None:
        """What the agent of a server published last, None where there is nothing."""
        ...


class NotifyTarget(Protocol):
    """Whoever is told what happens on this server: `name` is its kind, `shown` what may be shown of its place."""

    name: str
    shown: str

    async def send(self, body: bytes) -> str:
        """Send once; the answer in words. Raises `Unavailable` where another attempt may work, else `Failed`."""
        ...


class Notifier(Protocol):
    """The service manager that started the agent."""

    def ready(self, status: str) -> None:
        """The agent has started; `status` is one line for a person."""
        ...

    def status(self, text: str) -> None:
        """One line about the agent's state for a person."""
        ...

    def alive(self) -> None:
        """The agent's loop still turns."""
        ...


class Orders(Protocol):
    """What a person has told the agent of this server; `problem` is why that is not known, empty while it is."""

    problem: str

    def mode(self) -> Mode:
        """The mode now; cheap enough to be asked again and again."""
        ...

    def retries(self) -> Sequence[str]:
        """The names of the services to try again, each order once; as cheap."""
        ...


class StatusFile(Protocol):
    """Where the agent's status is left for others to read."""

    async def write(self, status: Mapping[str, object]) -> bool:
        """Replace the status; whether that was possible. A failure is logged: a status is never worth stopping for."""
        ...
