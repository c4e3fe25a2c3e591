"""The rig of a kind: servers, one or two providers, a client, the service `web`, and what may be done to them.

Orders and changes made here are recorded; one that no server has followed at the end counts as lost.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

import ldap

from tests.lab.deadline import until
from tests.lab.hosts.node import Node
from tests.lab.hosts.stage import FILE, UNIT, Stage, Unit
from tests.lab.probers.trace import Line
from tests.lab.slapd.ldif import history_dn, link_ldif, service_dn, service_ldif, state_dn
from tests.lab.slapd.reading import State, attributes, heartbeat_ns, links, state
from tests.lab.slapd.slapd import Slapd
from tests.lab.timeline import Claim

__all__ = ["SERVICE", "Rig"]

SERVICE: Final = "web"
_OPENING_S: Final = 30.0
_WORDED: Final = "{{ parameters.word }}\n"


class Rig:
    """One stage with its roles: `holder` serves now, `other` is the next one."""

    def __init__(self, stage: Stage, isolation: str, chance: random.Random) -> None:
        self.stage = stage
        self.isolation = isolation
        self.chance = chance
        self.cut: set[str] = set()
        self._words = count(1)
        self._word = "0"

    @property
    def lease_s(self) -> float:
        return self.stage.lease_s

    @property
    def names(self) -> Sequence[str]:
        return self.stage.names

    @property
    def holder(self) -> str:
        """The holder by the directory."""
        return self.state(self.names[0]).holder

    @property
    def slapd(self) -> Slapd:
        return self.stage.slapd

    def open(self, facts: Mapping[str, Any], on: Sequence[str]) -> None:
        """Let `web` begin at the first server; `on` are the servers whose agents run."""
        for name in self.names:
            self.stage.template_set(name, "unit", FILE + UNIT, _WORDED)
        usual = {"template_sets": ["unit"], "parameters": {"word": "0"}, "relocIsolation": self.isolation}
        self.stage.opens(SERVICE, on=on, **(usual | facts))
        until(lambda: all(self.state(name).holder == self.names[0] for name in self.names), _OPENING_S)

    def other(self, than: str = "") -> str:
        """The first server of the pair that is not the holder, or not the one that is named."""
        return next(name for name in self.names if name != (than or self.holder))

    def node(self, name: str) -> Node:
        return self.stage.nodes[name]

    def unit(self, name: str, service: str = SERVICE) -> Unit:
        return self.stage.unit(name, service)

    def state(self, seen_from: str) -> State:
        """The state of the service at the provider that a server follows."""
        return state(self.stage.slapds[seen_from], SERVICE)

    def order(self, server: str, service: str = SERVICE, *, at: str = "") -> None:
        """Link the service to a server, by a plain modify at the provider of that server or of another one."""
        self.stage.slapds[at or server].modify(link_ldif(service, server))

    def unlink(self, server: str, service: str = SERVICE) -> None:
        self.stage.slapds[server].modify(link_ldif(service, server, verb="delete"))

    def serve_also(self, service: str, server: str, **facts: Any) -> None:
        """Add a service and link it."""
        self.slapd.add(service_ldif(service, **facts))
        self.order(server, service, at=self.names[0])

    def forget(self, service: str, server: str) -> None:
        """Unlink a service and delete it once nothing of it is left on the server."""
        self.unlink(server, service)
        until(lambda: not self.stage.service_status(server, service), self.lease_s + 5)
        for dn in (history_dn(service), state_dn(service), service_dn(service)):
            if attributes(self.slapd, dn):
                self.slapd.modify(f"dn: {dn}\nchangetype: delete\n")

    def write(self, at: str = "", dn: str = "") -> str:
        """Change the parameter `word` of the service; the word."""
        self._word = str(next(self._words))
        change = f"changetype: modify\nreplace: relocParameter\nrelocParameter: word={self._word}\n"
        self.stage.slapds[at or self.names[0]].modify(f"dn: {dn or service_dn(SERVICE)}\n{change}")
        return self._word

    def has_heard(self, server: str, word: str) -> bool:
        """Whether the file of the service on a server says this word."""
        path = self.file(server)
        return path.exists() and path.read_text().strip() == word

    def file(self, server: str) -> Path:
        return self.stage.files(server) / f"{SERVICE}.conf"

    def pull(self, server: str) -> None:
        """Take the cable of a host out."""
        self.cut.add(server)
        self.stage.lan[server].cut()

    def plug(self, server: str) -> None:
        """Put the cable in again; from now on what the server has counts."""
        self.stage.lan[server].heal()
        self.cut.discard(server)

    def has_met(self, since_ns: int) -> bool:
        """Whether every provider has a heartbeat of every agent that was sent after a moment; one has met itself."""
        return self.stage.providers == 1 or all(
            sent_ns > since_ns for name in self.names for sent_ns in self._heartbeats(name).values()
        )

    def settled_at(self, wanted: Sequence[str]) -> str:
        """The one of these servers at which all is at rest, empty while it is not.

        One kernel has the address, every provider says the same without a candidate or a previous one, one server is
        linked, and its agent calls the service active and whole. With two providers and `release`, two servers may have
        deleted each other's link: then none is linked, and the service is served on.
        """
        holders = self.stage.holders()
        if len(holders) != 1 or holders[0] not in wanted or self.cut:
            return ""
        server = holders[0]
        status = self.stage.service_status(server, SERVICE)
        agrees = all(self._names_only(server, name) for name in self.names)
        return server if agrees and status.get("state") == "active" and not status.get("problems") else ""

    def _names_only(self, server: str, seen_from: str) -> bool:
        found, linked = self.state(seen_from), self._linked(seen_from)
        alone = linked == [server] or (not linked and self.stage.providers > 1 and self.isolation == "release")
        return alone and (found.holder, found.candidate, found.previous) == (server, "", "")

    def described(self) -> str:
        """How things stand, for the evidence of a round that did not come to rest."""
        parts = [f"kernels {self.stage.holders()}, cut off {sorted(self.cut)}"]
        for name in self.names:
            try:
                parts.append(f"{name}: {self._described(name)}")
            except ldap.LDAPError as error:
                parts.append(f"{name}: its provider does not answer ({type(error).__name__})")
        return "\n".join(parts)

    def _described(self, name: str) -> str:
        found, linked = self.state(name), self._linked(name)
        ages = {each: round((time.monotonic_ns() - ns) / 1e9, 1) for each, ns in self._heartbeats(name).items()}
        place = f"holder={found.holder} candidate={found.candidate} previous={found.previous} #{found.generation}"
        status = f"{self.stage.stands(name, SERVICE)!r}: {self.stage.words(name, SERVICE)}"
        return f"its provider says {place}, linked {linked}, heartbeats {ages} s ago; it is {status}"

    def _linked(self, seen_from: str) -> list[str]:
        return [name for name in self.names if SERVICE in links(self.stage.slapds[seen_from], name)]

    def _heartbeats(self, seen_from: str) -> dict[str, int]:
        """When each server whose agent runs has sent the last heartbeat that a provider has."""
        running = [name for name, node in self.stage.nodes.items() if node.agent.poll() is None]
        return {name: heartbeat_ns(self.stage.slapds[seen_from], name) for name in running}

    def lines(self, server: str, since_ns: int) -> list[Line]:
        """What an agent has logged since a moment."""
        return [line for line in self.node(server).lines() if line.at_ns >= since_ns]

    def stays(self, server: str, since_ns: int) -> Claim:
        """The claim that a server has dropped no address since a moment."""
        drops = [line.action for line in self.lines(server, since_ns) if line.action.startswith("drop ")]
        return Claim(f"{server} keeps its address", not drops, f"{len(drops)} drops")

    def alive(self) -> Claim:
        """The claim that every agent runs."""
        ended = [name for name, node in self.stage.nodes.items() if node.agent.poll() is not None]
        return Claim("every agent runs", not ended, f"ended: {', '.join(ended)}\n" + self._last_words(ended))

    def _last_words(self, names: Sequence[str]) -> str:
        return "\n".join(self.node(name).log_text()[-1500:] for name in names)

    def revive(self) -> None:
        """Start the agents that have ended, so that the campaign goes on."""
        for node in self.stage.nodes.values():
            if node.agent.poll() is not None:
                node.stop()
                node.start()

    def watch_for(self, seconds: float, over: Callable[[], object] = lambda: False) -> bool:
        """Let time pass, as the disturbance has it, until something is over; whether it was."""
        deadline = time.monotonic() + seconds
        while not over():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True
