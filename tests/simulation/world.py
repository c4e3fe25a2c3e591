"""A small world in which the real handover rules run: servers, agents, a directory, a wire, and all that fails.

Time is counted in ticks. Each agent sees the directory with a delay of its own; the wire and its own direct reads show
what is so now. An agent takes one step at a time, and what a step needs of the world is done in parts, between any two
of which its server may crash, hang, or see something new arrive. Everything random comes from one `Random`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from random import Random

from relocd.election.observation import LocalState, Observation, State, YieldReason
from relocd.election.rules import watched
from relocd.election.steps import Activate, BecomeCandidate, ClearCandidate, Keep, Relinquish, Step, Stop, SwapIn
from relocd.model.entries import EntryUUID, Isolation
from tests.simulation import doubt, health
from tests.simulation.directory import NAMES, Content, Provider, Write, fence, replicate
from tests.simulation.failure_detector import lives_of
from tests.simulation.kind import LEASE, SETTLING, SLOWEST, Care, Kind, Rules
from tests.simulation.server import Memory, Server
from tests.simulation.steps import CARRIED_OUT, PROMPT, STEADY
from tests.simulation.view import written

__all__ = ["World"]


@dataclass(slots=True)
class _Late:
    """A write on its way from a server that has lost the directory; the connection is dead from `until` on."""

    server: Server
    provider: Provider
    write: Write
    until: int


class World:
    """The servers and the directory."""

    def __init__(self, random: Random, kind: Kind, decide: Rules, care: Care) -> None:
        self.random = random
        self.kind = kind
        self.decide = decide
        self.care = care
        self.now = 0
        self.providers = [Provider(number) for number in range(kind.providers)]
        self.apart = False
        self.trace: list[str] = []
        self.steps = 0
        self.amid_step: Callable[[World, Server], None] = lambda _world, _server: None
        self.unready_asked: EntryUUID | None = None
        self.wrong = ""
        self.bared: EntryUUID | None = None
        self.doubtful = self.doubted = False
        self._late: list[_Late] = []
        self.met_since = self._agents = 0
        self.servers = {name: self._server(name, number) for number, name in enumerate(NAMES)}
        self.clones: list[Server] = []

    @property
    def machines(self) -> list[Server]:
        """All servers, and those that were cloned from them."""
        return [*self.servers.values(), *self.clones]

    def note(self, text: str) -> None:
        """A line of the trace; the same twice is noted once."""
        if not (self.trace and self.trace[-1].endswith(text)):
            self.trace.append(f"{self.now:4} {text}")

    def provider(self, server: Server) -> Provider:
        """The one that a server's agent is connected to."""
        return self.providers[server.provider]

    def reaches(self, server: Server) -> bool:
        """Whether an agent gets answers from the directory."""
        return not server.cut and self.provider(server).answers

    def tick(self) -> None:
        """Time passes: providers tell each other, heartbeats are left, and addresses run out."""
        self.now += 1
        self._replicate()
        self._carry_late()
        if self.kind.providers > 1:
            doubt.note(self)
        for server in self.machines:
            if server.heals:
                self._heal(server)
            health.check(self, server)
            health.fail_over(self, server)
            if server.acts and self.reaches(server):
                self._beat(server)
            elif server.acts and not server.cut and self.random.random() < 0.2:
                self._move(server)
            if self.kind.isolation is Isolation.RELEASE and server.address and self.now >= server.expires:
                server.address = False
                self.note(f"the kernel of {server.name} drops the address")

    def deliver(self, server: Server) -> None:
        """The next change of the directory reaches an agent."""
        memory, versions = server.memory, self.provider(server).versions
        if server.acts and memory.seen < len(versions) - 1 and self.reaches(server):
            memory.seen += 1
            health.note_change(self, server, memory.view.content, versions[memory.seen])
            memory.view.take(versions[memory.seen])

    def run(self, server: Server) -> None:
        """The agent's next part of a step, or its next step."""
        if not server.acts:
            return
        memory = server.memory
        if memory.parts is None:
            memory.parts = self._parts(server)
        try:
            next(memory.parts)
        except StopIteration:
            memory.parts = None

    def start_agent(self, server: Server) -> None:
        """An agent begins: it adopts what is up, and waits for its refresh, which shows the directory as it is now."""
        server.hung = False
        memory = server.memory
        if memory.confirmed is not None:
            server.former = (memory.confirmed, memory.back_at)
        server.memory = self._memory(server)
        server.agents.add(server.memory.agent)
        server.memory.believes = server.serves

    def pauses(self, server: Server) -> None:
        """Keep a service that could not be released for now, each time for longer."""
        memory = server.memory
        memory.pause = min(2 * memory.pause or 2, 8 * LEASE) if self.care.pauses else 0
        memory.kept_until = self.now + memory.pause

    def clone(self, server: Server) -> None:
        """A copy of the machine is started, with an agent that goes by the same entry."""
        memory = self._memory(server)
        self.clones.append(Server(server.name, memory, server.provider, agents={memory.agent}))

    def plug(self, server: Server) -> None:
        """Its cable is back; until its heartbeat has come back it asks the wire who else answers."""
        server.plugged, server.cut, server.heals = True, False, True
        self._heal(server)

    def _heal(self, server: Server) -> None:
        if not server.acts:
            return
        others = any(other.answers for other in self.machines if other is not server)
        if server.address and others and self.care.asks_when_healed:
            self.note(f"{server.name} drops the address")
            server.address = server.was_cut = server.memory.believes = False
        if server.memory.confirmed is not None and not self._missing(server.memory):
            server.heals = False

    def stop_provider(self, provider: Provider) -> None:
        """It is gone with what waits in its queues; what it has written is on its disk."""
        provider.up = provider.hung = False
        provider.queue.clear()

    def send(self, server: Server, write: Write) -> bool | None:
        """Whether a write is done or lost; None when nobody knows."""
        provider = self.provider(server)
        if not self.care.compares:
            write = Write((), write.changed)
        draw = self.random.random()
        if server.cut or not provider.up:
            if draw < 0.3:
                self._late.append(_Late(server, provider, write, self.now + PROMPT))
            return None
        if provider.hung:
            provider.queue.append(write)
            return None
        if draw < 0.05:
            self._late.append(_Late(server, provider, write, self.now + PROMPT))
            return None
        done = provider.write(write, self.now)
        return None if draw < 0.1 else done

    def answers(self, asking: Server) -> bool:
        """Whether the address answers at a server whose cable was out: on others the probe is not counted."""
        return any(each.answers for each in self.machines if each is not asking and each.was_cut)

    def is_steady(self, server: Server) -> bool:
        """Whether nobody can be about to act on the death of a server: see `Here.steady`."""
        memory = server.memory
        if not self.care.waits_until_steady:
            return True
        if memory.confirmed is None or self._missing(memory) or not self.is_alone(server):
            return False
        if memory.resumed_at is not None and self.now - memory.resumed_at <= PROMPT:
            return False
        return self.now - memory.back_at > STEADY or memory.view.content.written_at > memory.back_at

    def is_alone(self, server: Server) -> bool:
        """Whether no other agent has gone by its name within a lease."""
        other_at = server.memory.other_at
        return other_at is None or self.now - other_at > LEASE or not self.care.notices_others

    def raise_address(self, server: Server) -> None:
        """With a lifetime from the last heartbeat on where it is released; nothing when that has run out."""
        server.expires = self._expiry(server)
        if self.kind.isolation is Isolation.KEEP or self.now < server.expires:
            server.address, server.was_cut = True, server.was_cut or not server.plugged
            self.note(f"{server.name} RAISES the address")

    def _server(self, name: EntryUUID, number: int) -> Server:
        self._agents += 1
        memory = Memory(self.kind.seeing(name, Content()), 0, 0, self._agents)
        return Server(name, memory, number % self.kind.providers, agents={self._agents})

    def _memory(self, server: Server) -> Memory:
        versions = self.provider(server).versions
        self._agents += 1
        found = self.provider(server).last_beat(server.name)
        return Memory(self.kind.seeing(server.name, versions[-1]), len(versions) - 1, self.now, self._agents, found)

    def _move(self, server: Server) -> None:
        """An agent whose provider does not answer turns to another one that does."""
        answering = [provider.number for provider in self.providers if provider.answers]
        if answering:
            server.provider = answering[0]
            memory, fresh = server.memory, self._memory(server)
            memory.view, memory.seen, memory.settled_at = fresh.view, fresh.seen, None

    def _replicate(self) -> None:
        if self.kind.providers == 1:
            self.providers[0].unsent.clear()
        elif not self.apart:
            first, second = self.providers
            replicate(first, second, self.random, self.now)
            replicate(second, first, self.random, self.now)

    def begin_doubt(self) -> None:
        """From now on the two providers may have been told different things."""
        self.doubtful = self.doubted = True

    def _carry_late(self) -> None:
        for late in [*self._late]:
            arrives = not late.server.cut and late.provider.answers
            if arrives and self.random.random() < 0.5:
                late.provider.write(late.write, self.now)
                self.note(f"a late write of {late.server.name} arrives")
                self._late.remove(late)
            elif self.now >= late.until:
                self._late.remove(late)

    def _beat(self, server: Server) -> None:
        """The heartbeat that comes back proves the directory and the search, from when it was sent."""
        memory = server.memory
        self._note_other(server)
        if memory.sent_at is not None and (self.random.random() < 0.25 or self.now - memory.sent_at >= SLOWEST):
            if memory.confirmed is None or self.now - memory.confirmed >= LEASE:
                memory.back_at = self._back_at(server)
                memory.clock.begin()
            memory.clock.note(memory.sent_at, self.now, memory.stamp)
            memory.confirmed = memory.sent_at if self.care.counts_from_sending else self.now
            memory.sent_at = None
            if server.address:
                server.expires = max(server.expires, self._expiry(server))
            elif memory.believes and not self.care.extends_only:
                self.raise_address(server)
        if memory.sent_at is None:
            memory.stamp = self.provider(server).beat(server.name, self.now, memory.agent, failed=server.has_failed)
            memory.sent_at = self.now

    def _back_at(self, server: Server) -> int:
        """Since when none was missing for a lease: where the lease of an agent before this one goes on, as it knew."""
        memory, former = server.memory, server.former
        fresh = former is not None and self.now - former[0] < LEASE
        if former is None or memory.confirmed is not None:
            return self.now
        if fresh or not self.care.former_counts_for_a_lease:
            memory.resumed_at = self.now
            return former[1]
        return self.now

    def _note_other(self, server: Server) -> None:
        """A heartbeat by its name that no agent of this machine has sent."""
        beat = self.provider(server).last_beat(server.name)
        if beat != server.memory.found and beat[1] not in server.agents:
            server.memory.other_at = self.now

    def _expiry(self, server: Server) -> int:
        confirmed = server.memory.confirmed
        return self.now if confirmed is None else confirmed + LEASE

    def _parts(self, server: Server) -> Generator[None]:
        """One step, in parts between which anything may happen."""
        memory = server.memory
        if memory.believes and not server.address and self.random.random() < 0.5:
            memory.believes = False
        ownership = memory.view.ownership
        seen = ownership.state
        if seen is None:
            raise AssertionError("the state is always readable here")
        health.note_links(server)
        local = self._here(server, seen, fenced=server.name in ownership.fenced)
        observation = Observation(server.name, seen, ownership.eligible)
        those = watched(observation, local)
        lives, failed = lives_of(self, server, those), health.failed_of(self, server, those)
        observation = Observation(server.name, seen, ownership.eligible, lives, failed)
        step = self._unless_kept(server, self.decide(observation, local), local)
        if isinstance(step, Keep):
            if local.yield_reason is YieldReason.FENCED and seen.holder != server.name and not local.up:
                yield from self._clear_fence(server)
            return
        self.wrong = self.wrong or health.wrong(self, server, step, observation, local)
        write = written(step, memory.view)
        self._begin(server, step)
        yield
        yield from CARRIED_OUT[type(step)](self, server, step, write)

    def _unless_kept(self, server: Server, step: Step, local: LocalState) -> Step:
        """The step, or to serve on where it would release what could not be released just now."""
        if self.now >= server.memory.kept_until or not isinstance(step, Relinquish | Stop):
            return step
        why = "could not be released, so it stays for now"
        if local.active or not local.steady or isinstance(step, Stop):
            return Keep(why)
        return Activate(step.state.generation, why)

    def _begin(self, server: Server, step: Step) -> None:
        self.steps += 1
        to = getattr(step, "to", None) or getattr(step, "server", "")
        self.note(f"{server.name} {type(step).__name__} {to}: {step.reason}".replace(" :", ":"))
        if isinstance(step, BecomeCandidate | ClearCandidate):
            server.memory.changed_at, server.memory.repeats = self.now, server.memory.repeats + 1
        asks = isinstance(step, BecomeCandidate | SwapIn) and step.state.holder != server.name
        if asks and not server.fit:
            self.unready_asked = server.name
        self.amid_step(self, server)

    def _waited(self, server: Server, state: State) -> bool:
        """Whether the state has stood for a lease, and longer each time that this server has asked again."""
        memory = server.memory
        if memory.said != state:
            memory.note_holder(server.name, memory.said, state)
            memory.said, memory.changed_at, memory.repeats = state, self.now, 0
        waits = LEASE * min(1 << memory.repeats, 16)
        return self.care.asks_again and self.kind.providers > 1 and self.now - memory.changed_at >= waits

    def _here(self, server: Server, state: State, *, fenced: bool) -> LocalState:
        memory = server.memory
        if state.candidate != server.name:
            memory.settled_at = None
        elif memory.settled_at is None:
            memory.settled_at = self.now + (SETTLING if self.kind.providers > 1 else 0)
        return LocalState(
            active=memory.believes,
            up=server.address or server.units,
            ready=self._is_ready(server),
            failed=memory.failed_in == state.generation,
            failed_here=memory.failed_here or server.has_failed,
            unlinked=memory.unlinked_in == state.generation,
            settled=memory.settled_at is not None and self.now >= memory.settled_at,
            waited=self._waited(server, state),
            orphaned=memory.orphaned and self.kind.providers > 1,
            steady=self.is_steady(server),
            expired=self.kind.isolation is Isolation.RELEASE and self._missing(memory),
            yield_reason=server.yield_reason(fenced=fenced, moves=not health.is_spent(self, server)),
        )

    def _is_ready(self, server: Server) -> bool:
        fit = server.fit if self.care.tries_first else server.ready
        heard_of = server.memory.confirmed is not None and not self._missing(server.memory)
        return fit and heard_of and self.is_alone(server)

    def _missing(self, memory: Memory) -> bool:
        last = memory.began_at if memory.confirmed is None else memory.confirmed
        return self.now - last >= LEASE

    def _clear_fence(self, server: Server) -> Iterator[None]:
        """A server that came up fenced and holds nothing is free again, once a direct read has said so."""
        yield
        if self.reaches(server) and self.provider(server).now.state.holder != server.name:
            self.steps += 1
            self.note(f"{server.name} clears its fence")
            self.send(server, Write(((fence(server.name), True),), ((fence(server.name), None),)))
