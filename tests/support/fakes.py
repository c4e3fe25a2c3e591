"""A server in memory: fakes of the ports that the agent acts with, each holding the state that the real one changes.

Everything that happens to the server is an effect of its `World`, in order. A world can end in the middle, as when
the agent is killed: before or after any of its effects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address

from relocd.agent.convergence.host import Host
from relocd.errors import Failed, Invalid, Unavailable
from relocd.model.entries import ServiceAddress
from relocd.model.host import FileState, HeldAddress, Interface, NewFile, Probe, UnitState, no_unit
from relocd.model.template_set import TemplateSet
from relocd.reconcile.desired import Placed
from relocd.reconcile.guards import Guards
from tests.support.fake_programs import FakeCommands, FakeProbes, FakeRenderer
from tests.support.fake_records import FakeHeartbeatRecord, FakeLedger, Killed, World
from tests.support.plans import ETH0, GUARDS, template_set

__all__ = ["FakeServer", "Killed", "World", "until"]

_MAC = "02:00:00:00:00:fe"


class Watched:
    """Something whose changes are told in the event loop."""

    def __init__(self) -> None:
        self._watchers: list[Callable[[], None]] = []

    def watch(self, changed: Callable[[], None]) -> None:
        self._watchers.append(changed)

    def tell(self) -> None:
        for changed in self._watchers:
            asyncio.get_running_loop().call_soon(changed)


class FakeFiles:
    """Files by target; one whose content contains BAD does not pass its check. `refusal` is a read-only folder.

    `prepared` are the files that lie ready beside their targets, by those that were prepared together.
    """

    def __init__(self, world: World) -> None:
        self.contents: dict[str, bytes] = {}
        self.attributes: dict[str, tuple[str, str, int]] = {}
        self.prepared: set[frozenset[NewFile]] = set()
        self.refusal = self.said = ""
        self._world = world

    async def states(self, targets: Iterable[str]) -> Mapping[str, FileState | None]:
        return {target: self._state(target) for target in targets}

    async def content(self, target: str) -> bytes | None:
        return self.contents.get(target)

    async def install(self, files: Sequence[NewFile]) -> None:
        self._withdraw(file.target for file in files)
        self._check(files)
        self._world.happen(f"install {' '.join(file.target for file in files)}", lambda: self._put(files))

    async def prepare(self, files: Sequence[NewFile]) -> None:
        wanted = frozenset(files)
        if wanted in self.prepared:
            return
        self._withdraw(file.target for file in files)
        self._check(files)
        new = [file.target for file in files if self.contents.get(file.target) != file.content]
        if new:
            self._world.happen(f"prepare {' '.join(new)}", lambda: self.prepared.add(wanted))

    async def discard(self, targets: Iterable[str]) -> None:
        wanted = sorted(targets)
        if self._with(wanted):
            self._world.happen(f"discard {' '.join(wanted)}", lambda: self._withdraw(wanted))

    async def keep(self, target: str) -> None:
        self._check()
        self._world.happen(
            f"save {target}", lambda: self.contents.setdefault(f"{target}.relocd-orig", self.contents[target])
        )

    async def remove(self, target: str) -> None:
        self._check()
        self._world.happen(f"remove {target}", lambda: self.contents.pop(target, None))

    def text(self, target: str) -> str | None:
        """What a person would read at a target."""
        return self.contents[target].decode() if target in self.contents else None

    def _check(self, files: Sequence[NewFile] = ()) -> None:
        if self.refusal:
            raise Failed(self.refusal, self.said)
        for file in files:
            if b"BAD" in file.content:
                raise Invalid(f"{file.target}: its check says that it is bad; correct the template")

    def _with(self, targets: Iterable[str]) -> set[frozenset[NewFile]]:
        wanted = frozenset(targets)
        return {files for files in self.prepared if any(file.target in wanted for file in files)}

    def _withdraw(self, targets: Iterable[str]) -> None:
        self.prepared -= self._with(targets)

    def _put(self, files: Sequence[NewFile]) -> None:
        self.contents |= {file.target: file.content for file in files}
        self.attributes |= {file.target: (file.owner, file.group, file.mode) for file in files}

    def _state(self, target: str) -> FileState | None:
        content = self.contents.get(target)
        return None if content is None else FileState(sha256(content).hexdigest(), *self.attributes[target])


class FakeAddresses(Watched):
    """Addresses on interfaces, each ours or not; those in `refused` the kernel neither takes nor gives.

    While it is `unrecorded` there is no room for the record.

    `lifetimes` are those of our addresses; none runs out by itself here: a test removes the address.
    """

    def __init__(self, world: World, interfaces: Iterable[Interface]) -> None:
        super().__init__()
        self.links = list(interfaces)
        self.there: dict[Placed, bool] = {}
        self.lifetimes: dict[Placed, int | None] = {}
        self.refused: set[Placed] = set()
        self.unrecorded = False
        self._world = world

    @property
    def ours(self) -> set[str]:
        return {str(placed) for placed, ours in self.there.items() if ours}

    def interfaces(self) -> Sequence[Interface]:
        return tuple(self.links)

    def held(self) -> Sequence[HeldAddress]:
        return [HeldAddress(placed.interface, placed.address, ours) for placed, ours in self.there.items()]

    def copies(self, addresses: Iterable[ServiceAddress]) -> Sequence[HeldAddress]:
        wanted = {each.packed for each in addresses}
        return [each for each in self.held() if each.packed in wanted]

    async def add(self, interface: str, address: ServiceAddress, lifetime_s: int | None = None) -> None:
        placed = Placed(interface, address)
        if self.there.get(placed) is False or placed in self.refused:
            raise Failed(f"raise {placed}: the kernel refuses")
        if placed not in self.there:
            self._world.happen(f"raise {placed}", lambda: self._put(placed, lifetime_s))
            self.tell()

    async def extend(self, interface: str, address: ServiceAddress, lifetime_s: int | None) -> None:
        placed = Placed(interface, address)
        if not self.there.get(placed) or placed in self.refused:
            raise Failed(f"extend {placed}: it is not there, not ours, or the kernel refuses")
        self._world.happen(f"extend {placed}", lambda: self._put(placed, lifetime_s))

    async def check(self, interface: str, address: ServiceAddress) -> None:
        if self.unrecorded:
            raise Failed(f"raise {address} on {interface}: the record cannot be written")

    async def drop(self, interface: str, address: ServiceAddress) -> None:
        placed = Placed(interface, address)
        if self.there.get(placed) is False or placed in self.refused:
            raise Failed(f"drop {placed}: it is not ours, or the kernel refuses")
        if placed in self.there:
            self._world.happen(f"drop {placed}", lambda: self._take(placed))
            self.tell()

    def remove_by_hand(self, placed: Placed) -> None:
        """Somebody else removes an address, or its lifetime has run out."""
        self._take(placed)
        self.tell()

    def _put(self, placed: Placed, lifetime_s: int | None) -> None:
        self.there[placed] = True
        self.lifetimes[placed] = lifetime_s

    def _take(self, placed: Placed) -> None:
        del self.there[placed]
        self.lifetimes.pop(placed, None)


class FakeWire:
    """Neighbours that answer for addresses, by `ip`: their MAC; and other servers, whose addresses are `beside` it.

    While `slow` is not set a probe waits for it. `asked` counts the questions about addresses of this server.
    """

    def __init__(self, world: World) -> None:
        self.answering: dict[str, str] = {}
        self.beside: list[FakeAddresses] = []
        self.slow = asyncio.Event()
        self.slow.set()
        self.asked = 0
        self._world = world

    async def probe(self, interface: Interface, addresses: Sequence[ServiceAddress]) -> Sequence[Probe]:
        await asyncio.sleep(0)
        await self.slow.wait()
        if not interface.up:
            raise Failed(f"{interface.name} is down")
        return [Probe(address, self._answer(address)) for address in addresses]

    async def contested(self, interface: Interface, addresses: Sequence[ServiceAddress]) -> Sequence[Probe]:
        self.asked += 1
        return await self.probe(interface, addresses)

    async def reach(self, ip: IPv4Address | IPv6Address) -> None:
        while str(ip) not in self.answering:  # noqa: ASYNC110 - as long as nobody answers
            await asyncio.sleep(0.1)

    async def announce(self, interface: Interface, addresses: Sequence[ServiceAddress]) -> None:
        listed = " ".join(str(address) for address in addresses)
        self._world.happen(f"announce {listed} on {interface.name}", lambda: None)

    def _answer(self, address: ServiceAddress) -> str | None:
        others = (held.address.ip for addresses in self.beside for held in addresses.held())
        return _MAC if address.ip in others else self.answering.get(str(address.ip))


class FakeUnits(Watched):
    """Units and their states; `broken` ones do not start or reload, `stuck` ones do not stop, `mute` ones do not say,
    `unrecorded` ones have no room for their record. What fails to stop or reload is `fail_to` afterwards.
    What a start or stop that fails has `said` goes with its error; `troubled` ones cannot be relied on.

    While `slow` is not set a start waits for it.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.states: dict[str, UnitState] = {}
        self.broken: set[str] = set()
        self.stuck: set[str] = set()
        self.said: dict[str, str] = {}
        self.troubled: dict[str, str] = {}
        self.mute: set[str] = set()
        self.unrecorded: set[str] = set()
        self.fail_to = UnitState.ACTIVE
        self.slow = asyncio.Event()
        self.slow.set()
        self._world = world

    async def state(self, name: str) -> UnitState:
        if name in self.mute:
            raise Unavailable(f"{name}: the manager does not answer")
        return self.states.get(name, UnitState.INACTIVE)

    async def check(self, name: str) -> None:
        if name in self.unrecorded:
            raise Failed(f"{name}: its record cannot be written")

    async def trouble(self, name: str) -> str:
        if name in self.mute:
            raise Unavailable(f"{name}: the manager does not answer")
        return no_unit(name) if self.states.get(name) is UnitState.UNKNOWN else self.troubled.get(name, "")

    async def start(self, name: str) -> None:
        self._turn(name, UnitState.ACTIVATING)
        await self.slow.wait()
        self._use("start", name, UnitState.ACTIVE)

    async def stop(self, name: str) -> None:
        self._use("stop", name, UnitState.INACTIVE)

    async def reload(self, name: str) -> None:
        self._use("reload", name, UnitState.ACTIVE)

    async def restart(self, name: str) -> None:
        self._use("restart", name, UnitState.ACTIVE)

    def dies(self, name: str) -> None:
        """A unit fails by itself."""
        self._turn(name, UnitState.FAILED)

    def _use(self, word: str, name: str, state: UnitState) -> None:
        if name in (self.stuck if word == "stop" else self.broken):
            state = UnitState.FAILED if word == "start" else self.fail_to
            self._world.happen(f"{name} fails", lambda: self._turn(name, state))
            raise Failed(f"{name} does not {word}: look at its log", self.said.get(name, ""))
        self._world.happen(f"{word} {name}", lambda: self._turn(name, state))

    def _turn(self, name: str, state: UnitState) -> None:
        if self.states.get(name) is not state:
            self.states[name] = state
            self.tell()


class FakeTemplateSets(Watched):
    """Template sets by name."""

    def __init__(self) -> None:
        super().__init__()
        self.sets: dict[str, TemplateSet] = {}

    def get(self, name: str) -> TemplateSet:
        if name not in self.sets:
            raise Invalid(f"there is no template set {name} here; add it")
        return self.sets[name]


class FakeServer:
    """A server with one interface and the template set `web`: one file, `conf.j2`, and the unit `web`."""

    def __init__(self, *, interfaces: Iterable[Interface] = (ETH0,), guards: Guards = GUARDS) -> None:
        self.world = World()
        self.files = FakeFiles(self.world)
        self.addresses = FakeAddresses(self.world, interfaces)
        self.wire = FakeWire(self.world)
        self.units = FakeUnits(self.world)
        self.commands = FakeCommands(self.world)
        self.probes = FakeProbes()
        self.renderer = FakeRenderer()
        self.sets = FakeTemplateSets()
        self.ledger = FakeLedger(self.world)
        self.heartbeats = FakeHeartbeatRecord()
        self.install_set(template_set(), "conf of {service[name]}, {role}")
        self.host = Host(
            guards=guards,
            probing=True,
            sets=self.sets,
            renderer=self.renderer,
            files=self.files,
            addresses=self.addresses,
            wire=self.wire,
            units=self.units,
            commands=self.commands,
            probes=self.probes,
            ledger=self.ledger,
            heartbeats=self.heartbeats,
        )

    def install_set(self, found: TemplateSet, text: str) -> None:
        """Put a template set on the server's disk, each of its templates with the same text."""
        self.sets.sets[found.name] = found
        self.renderer.templates |= {(found.name, file.source): text for file in found.files}

    def take_effects(self) -> list[str]:
        """What happened since the last time, but for what the ledger kept."""
        effects = [effect for effect in self.world.effects if not effect.startswith(("keep ", "forget "))]
        self.world.effects.clear()
        return effects

    def state(self) -> object:
        """Everything a person could see of this server."""
        running = {name for name, state in self.units.states.items() if state is UnitState.ACTIVE}
        return (dict(self.files.contents), self.addresses.ours, running, dict(self.ledger.stored))


async def until(condition: Callable[[], object], within_s: float = 3.0) -> None:
    """Let the event loop turn until something holds; fail when it does not in time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - whatever a test waits for is seldom an event
            await asyncio.sleep(0.001)
