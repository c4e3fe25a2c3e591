"""The simulated directory: one provider, or two that take writes each and tell the other with delay.

What is said about the one service is a flat set of attributes. A write compares and changes some of them, all or
nothing, at one provider. To the other goes only what it has changed, attribute by attribute, as delta-syncrepl sends
single modifications; of two changes of one attribute the newer one stays, by its change number, on both sides.

So much for the rule. Of two changes that cross on their way between the providers, OpenLDAP 2.5 may let the older one
win at one of them: both then keep what they have. And a modification that deletes a value that is not there, or adds a
second one, does not fit: the provider takes the whole state from the other, if that is newer. Seen in 27 of 600
rounds of writes at once at two real providers: candidate or previous holder differed then, never holder or generation.

A provider that hangs answers nobody and carries out what it was sent, in any order, when it wakes up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from relocd.election.observation import State
from relocd.model.entries import EntryUUID

__all__ = ["DELAY", "NAMES", "Change", "Content", "Provider", "Value", "Write", "fence", "link", "replicate"]

DELAY = 2
"""The most ticks that a change takes to the other provider, when both run and hear each other."""

_ERRS = 0.3
"""How often the older of two changes that cross wins at a provider."""

_ERRING = ("candidate", "previous")

_STATE = ("holder", "candidate", "previous", "generation")

NAMES = tuple(map(EntryUUID, "abc"))

Value = str | int | bool | tuple[int, int, int] | None
Values = tuple[tuple[str, Value], ...]


def link(server: str) -> str:
    """The attribute that links a server directly: True or None; False where another server has deleted the link."""
    return f"link {server}"


def fence(server: str) -> str:
    """The attribute that declares a server fenced: True or None."""
    return f"fence {server}"


def _beat(server: str) -> str:
    return f"beat {server}"


def _failed(server: str) -> str:
    return f"failed {server}"


@dataclass(frozen=True, slots=True)
class Content:
    """What a provider says about the service; `created`: its state has an entry, last written at `written_at`.

    `unlinked` are the servers whose links other servers have deleted.

    Beside it, when it became so, and where the service had failed `at` that time.
    """

    state: State = field(default_factory=State)
    direct: frozenset[EntryUUID] = frozenset()
    unlinked: frozenset[EntryUUID] = frozenset()
    cluster_active: EntryUUID | None = None
    fenced: frozenset[EntryUUID] = frozenset()
    written_at: int = 0
    created: bool = False
    at: int = field(default=0, compare=False)
    failed: frozenset[EntryUUID] = field(default=frozenset(), compare=False)

    @property
    def chosen(self) -> frozenset[EntryUUID]:
        """The servers that are linked directly or through the cluster."""
        return self.direct if self.cluster_active is None else self.direct | {self.cluster_active}


@dataclass(frozen=True, slots=True)
class Write:
    """One modify: lost unless all that it compares is so. While nobody knows its outcome, `again` is sent, if any.

    `swapped` are attributes of which it deletes the value that it compares, and adds the other; the rest is replaced.
    """

    compared: Values
    changed: Values
    again: Write | None = None
    swapped: frozenset[str] = frozenset()

    @property
    def changes_holder(self) -> bool:
        return any(name == "generation" for name, _ in self.changed)


@dataclass(frozen=True, slots=True)
class Change:
    """What the other provider is told: the values with their change number, not before the tick `due`.

    It does not fit where an attribute is not what was `deleted`.
    """

    values: Values
    csn: tuple[int, int, int]
    due: int
    deleted: Values = ()


class Provider:
    """One provider; `versions` is every content that it had, the last being true now."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.up = True
        self.hung = False
        self.ahead = 0
        self.versions = [Content()]
        self.queue: list[Write] = []
        self.unsent: list[Change] = []
        self._values: dict[str, Value] = {}
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._written = 0

    @property
    def answers(self) -> bool:
        return self.up and not self.hung

    @property
    def has_news(self) -> bool:
        """Whether the other provider has to be told more than heartbeats."""
        return any(not change.values[-1][0].startswith("beat") for change in self.unsent)

    @property
    def now(self) -> Content:
        return self.versions[-1]

    def write(self, write: Write, tick: int) -> bool:
        """Carry a write out, or refuse it as lost."""
        if any(self._values.get(name) != value for name, value in write.compared):
            return False
        self._written += 1
        deleted = tuple((name, value) for name, value in write.compared if name in write.swapped and name in _ERRING)
        change = Change(write.changed, (tick, self.number, self._written), tick, deleted)
        self.unsent.append(change)
        self._take(change.values, change.csn)
        return True

    def beat(self, server: str, tick: int, agent: int = 0, *, failed: bool = False) -> int:
        """An agent leaves its heartbeat, and whether the service has failed; its stamp by this provider's clock."""
        self._written += 1
        stamp = tick + self.ahead
        values: Values = ((_failed(server), failed), (_beat(server), (stamp, agent, tick)))
        self.unsent.append(Change(values, (tick, self.number, self._written), tick))
        self._values.update(values)
        return stamp

    def publishes_failed(self, server: str) -> bool:
        """Whether the service has failed on a server by what that published last."""
        return bool(self._values.get(_failed(server)))

    @property
    def ordered(self) -> frozenset[EntryUUID]:
        """The servers that are linked, or were until another server deleted that; none after any other order."""
        links = {name: self._values[link(name)] for name in NAMES if link(name) in self._values}
        return frozenset() if None in links.values() or "active" in self._values else frozenset(links)

    def beat_of(self, server: str) -> int:
        """By its stamp, when a server's newest heartbeat here was left; long ago where there is none."""
        return self.last_beat(server)[0]

    def last_beat(self, server: str) -> tuple[int, int, int]:
        """The stamp of a server's newest heartbeat, which agent has left it, and when that sent it by its own clock.

        Two of them are never the same, also where the provider's clock was set back between them.
        """
        found = self._values.get(_beat(server))
        return found if isinstance(found, tuple) else (-1000, 0, -1000)

    def learn(self, change: Change, source: Provider, random: Random) -> None:
        """Take what the other provider tells, where nothing newer is known; see above for how that goes wrong."""
        if any(self._values.get(name) != value for name, value in change.deleted):
            self._refresh(source)
            return
        self._take([each for each in change.values if self._takes(each[0], change.csn, random)], change.csn)

    def _takes(self, name: str, csn: tuple[int, int, int], random: Random) -> bool:
        newest = self._stamps.get(name, (-1, 0, 0))
        return newest < csn or (name in _ERRING and self._errs(newest, csn, random))

    def _refresh(self, source: Provider) -> None:
        """Take the whole state from the other provider, if that is newer."""
        theirs = source._newest()
        if self._newest() < theirs:
            names = [name for name in (*_STATE, "created") if name in source._stamps]
            for name in names:
                self._values[name], self._stamps[name] = source._values.get(name), source._stamps[name]
            self._take((), theirs)

    def _newest(self) -> tuple[int, int, int]:
        return max(self._stamps.get(name, (-1, 0, 0)) for name in _STATE)

    @staticmethod
    def _errs(newer: tuple[int, int, int], older: tuple[int, int, int], random: Random) -> bool:
        """Whether of two changes that have crossed the older one wins here."""
        return older < newer and newer[0] - older[0] < DELAY and random.random() < _ERRS

    def wake(self, random: Random, tick: int) -> None:
        """What was sent meanwhile is carried out now, in any order; nobody hears of it."""
        self.hung = False
        random.shuffle(self.queue)
        for write in self.queue:
            self.write(write, tick)
        self.queue.clear()

    def _take(self, values: Iterable[tuple[str, Value]], csn: tuple[int, int, int]) -> None:
        for name, value in values:
            self._values[name] = value
            self._stamps[name] = csn
            if name.startswith("beat"):
                return
        content = self._content(csn[0])
        if content != self.now:
            self.versions.append(content)

    def _content(self, tick: int) -> Content:
        known = self._values.get
        names = (known("holder"), known("candidate"), known("previous"))
        return Content(
            State(*names, known("generation") or 0),  # type: ignore[arg-type]
            frozenset(name for name in NAMES if known(link(name))),
            frozenset(name for name in NAMES if known(link(name)) is False),
            known("active"),  # type: ignore[arg-type]
            frozenset(name for name in NAMES if known(fence(name))),
            max(self._stamps.get(name, (0,))[0] for name in _STATE),
            bool(known("created")),
            tick,
            frozenset(filter(self.publishes_failed, NAMES)),
        )


def replicate(source: Provider, target: Provider, random: Random, tick: int) -> None:
    """What is due goes to the other provider, in the order in which it was written."""
    while source.unsent and source.answers and target.answers:
        change = source.unsent[0]
        if change.due + DELAY > tick and random.random() < 1 / DELAY:
            return
        target.learn(source.unsent.pop(0), source, random)
