"""A small world in which the real handover rules run: servers, agents, a directory, a wire, and all that fails.

Time is counted in ticks. Each agent sees the directory with a delay of its own and never backwards; the wire and its
own direct reads show what is so now. An agent takes one step at a time, and what a step needs of the world is done in
parts, between any two of which its server may crash, hang, or see something new arrive. Everything random comes from
one `Random`, so a seed gives the run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from relocd.model.entries import EntryUUID
from relocd.plan import handover as rules

__all__ = ["Directory", "Rules", "Server", "World"]

LEASE = 10
"""Ticks without a heartbeat after which a server counts as silent."""

HESITATION = 4
"""What was allowed by a read or a witness is only carried out within so many ticks; fewer than the lease has."""

SETTLING = 3
"""How long a candidacy stands before a takeover."""

NAMES = tuple(map(EntryUUID, "abc"))

Rules = Callable[[rules.Sight, rules.Here], rules.Step]


@dataclass(frozen=True, slots=True)
class Content:
    """What the directory says about the one service."""

    state: rules.State = field(default_factory=rules.State)
    direct: frozenset[EntryUUID] = frozenset()
    cluster_active: EntryUUID | None = None

    @property
    def choice(self) -> rules.Choice:
        if self.cluster_active is None:
            return rules.Choice(self.direct)
        return rules.Choice(self.direct, frozenset({self.cluster_active}), frozenset(NAMES) - {self.cluster_active})


@dataclass(slots=True)
class Directory:
    """Every version of the content, the last being true now."""

    versions: list[Content] = field(default_factory=lambda: [Content()])

    @property
    def now(self) -> Content:
        return self.versions[-1]

    def write(self, content: Content) -> None:
        if content != self.now:
            self.versions.append(content)

    def swap(self, expected: rules.State, new: rules.State) -> bool:
        """One modify that deletes the old values and adds the new ones: it fails when any old value is another."""
        if self.now.state != expected:
            return False
        self.write(replace(self.now, state=new))
        return True


@dataclass(slots=True)
class Server:
    """One server; `active` when the service's address is up on it, whatever its agent knows."""

    name: EntryUUID
    up: bool = True
    hung: bool = False
    cut: bool = False
    ready: bool = True
    failing: bool = False
    active: bool = False
    failed_in: int | None = None
    sulks: bool = False
    seen: int = 0
    heard_at: int = 0
    back_at: int = -LEASE
    settled_at: int | None = None
    parts: Iterator[None] | None = None

    @property
    def acts(self) -> bool:
        return self.up and not self.hung


class World:
    """The servers and the directory; `confirms` when an activation reads the state directly first."""

    def __init__(self, random: Random, decide: Rules, *, confirms: bool = True) -> None:
        self.random = random
        self.decide = decide
        self.confirms = confirms
        self.now = 0
        self.directory = Directory()
        self.servers = {name: Server(name) for name in NAMES}
        self.trace: list[str] = []
        self.unready_asked: EntryUUID | None = None

    def note(self, text: str) -> None:
        self.trace.append(f"{self.now:4} {text}")

    def tick(self) -> None:
        """Time passes; agents that act and reach the directory leave a heartbeat."""
        self.now += 1
        for server in self.servers.values():
            if server.acts and not server.cut:
                if self.now - server.heard_at >= LEASE:
                    server.back_at = self.now
                server.heard_at = self.now

    def deliver(self, server: Server) -> None:
        """The next change of the directory reaches an agent."""
        if server.acts and not server.cut and server.seen < len(self.directory.versions) - 1:
            server.seen += 1

    def run(self, server: Server) -> None:
        """The agent's next part of a step, or its next step."""
        if not server.acts:
            return
        if server.parts is None:
            server.parts = self._parts(server)
        try:
            next(server.parts)
        except StopIteration:
            server.parts = None

    def crash(self, server: Server) -> None:
        """Power off: the address is gone with the server."""
        server.up, server.hung, server.active, server.parts = False, False, False, None

    def start(self, server: Server) -> None:
        """Power on: the agent refreshes, and so sees the directory as it is now."""
        server.up, server.seen = True, len(self.directory.versions) - 1
        server.failed_in = server.settled_at = None
        server.sulks = False

    def restart_agent(self, server: Server) -> None:
        """Only the agent ends and starts again: nothing changes on the wire."""
        if server.acts and not server.cut:
            server.parts, server.seen = None, len(self.directory.versions) - 1
            server.failed_in = server.settled_at = None
            server.sulks = False

    def lives(self, viewer: Server) -> dict[EntryUUID, rules.Life]:
        """The two witnesses: the heartbeat in the directory, and the address on the wire."""
        return {server.name: self._life(server) for server in self.servers.values() if server is not viewer}

    def _life(self, server: Server) -> rules.Life:
        if self.now - server.heard_at < LEASE:
            return rules.Life.ALIVE
        return rules.Life.SILENT if server.active else rules.Life.DEAD

    def _parts(self, server: Server) -> Iterator[None]:
        """One step, in parts between which anything may happen."""
        content = self.directory.versions[server.seen]
        server.sulks = server.sulks and server.name in content.choice.all
        sight = rules.Sight(server.name, content.state, content.choice, self.lives(server))
        step = self.decide(sight, self._here(server, content.state))
        if isinstance(step, rules.BecomeCandidate | rules.SwapIn) and not server.ready:
            self.unready_asked = server.name
        if not isinstance(step, rules.Keep):
            self.note(f"{server.name} {step}")
        decided_at = self.now
        yield
        if isinstance(step, rules.SwapIn):
            yield from _swap_in(self, server, step, decided_at)
        else:
            yield from _CARRIED_OUT[type(step)](self, server, step)

    def _here(self, server: Server, state: rules.State) -> rules.Here:
        if state.candidate != server.name:
            server.settled_at = None
        elif server.settled_at is None:
            server.settled_at = self.now + SETTLING
        return rules.Here(
            active=server.active,
            up=server.active,
            ready=server.ready,
            failed=server.failed_in == state.generation,
            sulks=server.sulks,
            settled=server.settled_at is not None and self.now >= server.settled_at,
            steady=self.now - server.back_at > HESITATION and self.now - server.heard_at < LEASE,
        )


def _keep(_world: World, _server: Server, _step: rules.Keep) -> Iterator[None]:
    yield from ()


def _activate(world: World, server: Server, step: rules.Activate) -> Iterator[None]:
    read_at = world.now
    if world.confirms:
        if server.cut:
            return
        state = world.directory.now.state
        if (state.holder, state.generation) != (server.name, step.generation):
            return
        yield
        if world.now - read_at > HESITATION:
            return
    if server.failing or not server.ready:
        server.failed_in = step.generation
        server.sulks = True
        world.note(f"{server.name} could not be activated")
        return
    server.active = True
    world.note(f"{server.name} ACTIVE")
    yield


def _stop(world: World, server: Server, _step: rules.Step) -> Iterator[None]:
    if server.active:
        server.active = False
        world.note(f"{server.name} let go")
    yield


def _swap(world: World, server: Server, expected: rules.State, new: rules.State) -> None:
    if not server.cut and not world.directory.swap(expected, new):
        world.note(f"{server.name} was too late")


def _swap_in(world: World, server: Server, step: rules.SwapIn, decided_at: int) -> Iterator[None]:
    old = step.state
    if world.now - decided_at > HESITATION:
        return
    candidate = None if old.candidate == server.name else old.candidate
    _swap(world, server, old, rules.State(server.name, candidate, None, old.generation + 1))
    yield


def _become_candidate(world: World, server: Server, step: rules.BecomeCandidate) -> Iterator[None]:
    _swap(world, server, step.state, replace(step.state, candidate=server.name))
    yield


def _change_state(world: World, server: Server, attribute: str, value: EntryUUID) -> None:
    """Delete one value: it fails when the value is not there."""
    state = world.directory.now.state
    if not server.cut and getattr(state, attribute) == value:
        world.directory.write(replace(world.directory.now, state=replace(state, **{attribute: None})))


def _withdraw(world: World, server: Server, _step: rules.Step) -> Iterator[None]:
    _change_state(world, server, "candidate", server.name)
    yield


def _clear_previous(world: World, server: Server, step: rules.ClearPrevious) -> Iterator[None]:
    _change_state(world, server, "previous", step.server)
    yield


def _hand_over(world: World, server: Server, step: rules.HandOver) -> Iterator[None]:
    yield from _stop(world, server, step)
    _swap(world, server, step.state, rules.State(step.to, None, server.name, step.state.generation + 1))
    yield


def _give_back(world: World, server: Server, step: rules.GiveBack) -> Iterator[None]:
    yield from _stop(world, server, step)
    _delete_direct(world, server, server.name)
    yield
    candidate = step.state.candidate
    _swap(world, server, step.state, rules.State(step.to, candidate, None, step.state.generation + 1))
    yield


def _let_go(world: World, server: Server, step: rules.LetGo) -> Iterator[None]:
    if server.cut or world.directory.now.choice.all:
        return
    yield from _stop(world, server, step)
    _swap(world, server, step.state, replace(step.state, holder=None, generation=step.state.generation + 1))
    yield


def _delete_direct(world: World, server: Server, whose: EntryUUID) -> None:
    if not server.cut:
        now = world.directory.now
        world.directory.write(replace(now, direct=now.direct - {whose}))


def _delete_link(world: World, server: Server, step: rules.DeleteLink) -> Iterator[None]:
    _delete_direct(world, server, step.server)
    yield


_CARRIED_OUT: dict[type, Callable[..., Iterator[None]]] = {
    rules.Keep: _keep,
    rules.Activate: _activate,
    rules.Stop: _stop,
    rules.BecomeCandidate: _become_candidate,
    rules.Withdraw: _withdraw,
    rules.ClearCandidate: _withdraw,
    rules.ClearPrevious: _clear_previous,
    rules.HandOver: _hand_over,
    rules.GiveBack: _give_back,
    rules.LetGo: _let_go,
    rules.DeleteLink: _delete_link,
}
