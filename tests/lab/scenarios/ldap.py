"""The story of two LDAP servers: one dies and the other takes writes, it comes back, and all is moved back under load.

Both run a real slapd with the control suffix (multi-provider) and an agent on it. `ldapPrimary` displaces
`ldapSecondary`, to which both servers are linked all the time: who is not the primary is the secondary.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import count, pairwise
from pathlib import Path
from typing import Final, Self, TypeVar

from tests.lab.hosts.base_server import ADMIN, DATA, BasePair, BaseServer, data_ldif
from tests.lab.hosts.node import Node
from tests.lab.probers.watch import program
from tests.lab.scenarios.pair_agents import ADDRESS, SECOND_ADDRESS, agent, pair_ldif
from tests.lab.slapd.control_pair import control, meet
from tests.lab.slapd.ldap_client import Attempt, attempts
from tests.lab.slapd.ldif import SUFFIX, fence_ldif, link_ldif
from tests.lab.timeline import Timeline

__all__ = ["LdapPairStory"]

_T = TypeVar("_T")
_PATIENCE_S: Final = 30.0
_REST_S: Final = 1.5
"""How long the pair stands before something happens: a consumer of slapd holds up changes in its first second."""
_PRIMARY: Final = f"ldap://{ADDRESS}"
_SECONDARY: Final = f"ldap://{SECOND_ADDRESS}"
_SETTINGS: Final = {"agent": {"retry_max_s": 1.0}}


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the story, at work on the client's host."""

    process: subprocess.Popen[str]
    output: Path

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def answered(self, since_ns: int = 0) -> list[Attempt]:
        """What was answered to questions since then."""
        return [each for each in attempts(self.output) if each.done_ns and each.sent_ns >= since_ns]


class LdapPairStory:
    """The rig and its plot, as a context manager; `repeats` is how often it goes round."""

    title: Final = "A pair of LDAP servers"

    def __init__(self, repeats: int = 1) -> None:
        self._repeats = repeats
        self._numbers = count(1)
        self._acknowledged: set[str] = set()
        self.agents: dict[str, Node] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ldap-pair-")))
            self.pair = stack.enter_context(BasePair())
            self.pair.lan.pin("client")
            self.node1, self.node2 = self.pair.servers
            meet(self.pair.servers)
            self.node1.add(data_ldif())
            self.node1.add_as(ADMIN, pair_ldif(displaces=True))
            self._until(lambda: control(self.node1) == control(self.node2), "the nodes agree")
            self.agents = {name: stack.enter_context(self._agent(name)) for name in self.pair.nodes}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def play(self, timeline: Timeline) -> None:
        """Death, return and planned move, as often as asked for, while a client reads all the time."""
        self._open(timeline)
        for _ in range(self._repeats):
            self._death(timeline)
            self._return(timeline)
            self._planned(timeline)

    def _open(self, timeline: Timeline) -> None:
        self._until(lambda: self._is_primary(self.node1, self.node2), "node1 is the primary")
        self._modify(self.node1, link_ldif("ldapSecondary", "node1"))
        self._settle()
        timeline.mark("node1 is the primary, node2 follows and is the secondary")

    def _death(self, timeline: Timeline) -> None:
        reader = self._client(_PRIMARY, _SECONDARY)
        began_ns = time.monotonic_ns()
        self.node1.host.cut()
        self.agents["node1"].kill()
        self.node1.kill()
        timeline.mark("node1 is dead without a notice: cable cut, then slapd and agent killed")
        writer = self._writer()
        self._modified(timeline, writer)
        self._until(lambda: self._is_primary(self.node2), "node2 is the primary")
        timeline.figure("node1 dead: longest gap of a reader", self._gap_ms(reader, began_ns))
        self._retire(writer, reader)

    def _modified(self, timeline: Timeline, writer: Client) -> None:
        sent_ns = self._modify(self.node2, fence_ldif("node1") + "\n" + link_ldif("ldapPrimary", "node2"))
        timeline.mark("one ldapmodify at node2: node1 is fenced, node2 is linked to ldapPrimary")
        first = self._until(lambda: writer.answered(sent_ns), "a write is accepted")[0]
        timeline.figure("node1 dead: ldapmodify to first write accepted", ((first.done_ns or 0) - sent_ns) / 1e6)

    def _return(self, timeline: Timeline) -> None:
        host = self.node1.host
        host.reset()
        shutil.rmtree(self.agents["node1"].folder / "run")
        (self.agents["node1"].folder / "run").mkdir()
        host.heal()
        self.node1.start()
        self.agents["node1"].start()
        timeline.mark("node1 is back")
        raised: set[bool] = set()

        def follows() -> bool:
            raised.add(self._has(self.node1, ADDRESS))
            return self._is_primary(self.node2, self.node1)

        self._until(follows, "node1 follows")
        self._settle()
        timeline.claim("node1 came back as a consumer and did not raise the primary's address", raised == {False})
        self._claim_whole(timeline, "node1 has the writes that were made meanwhile")

    def _planned(self, timeline: Timeline) -> None:
        reader, writer = self._client(_PRIMARY, _SECONDARY), self._writer()
        self._until(writer.answered, "writes are accepted")
        sent_ns = self._modify(self.node2, link_ldif("ldapPrimary", "node1"))
        timeline.mark("under load, one ldapmodify: node1 is linked to ldapPrimary")
        self._until(lambda: self._is_primary(self.node1, self.node2), "node1 is the primary")
        now_ns = time.monotonic_ns()
        self._until(lambda: writer.answered(now_ns), "writes are accepted again")
        timeline.figure("planned move: longest gap of a writer", self._gap_ms(writer, sent_ns))
        timeline.figure("planned move: longest gap of a reader", self._gap_ms(reader, sent_ns))
        self._retire(writer, reader)
        self._settle()
        self._claim_whole(timeline, "no acknowledged write is lost by the planned move")

    def _claim_whole(self, timeline: Timeline, text: str) -> None:
        lost = {server.uri: self._acknowledged - _people(server) for server in self.pair.servers}
        missing = sorted(set().union(*lost.values()))
        shown = f"{len(missing)} of {len(self._acknowledged)} acknowledged writes missing {' '.join(missing[:3])}"
        timeline.claim(text, not missing, shown.strip())

    def _settle(self) -> None:
        """Wait until both services are up, both servers have the same data, and no agent has anything to do."""
        self._until(lambda: _versions(self.node1) == _versions(self.node2), "both have the same data")
        holders = [server for server in self.pair.servers if self._has(server, ADDRESS)]
        self._until(lambda: [s for s in self.pair.servers if self._has(s, SECOND_ADDRESS)] != holders, "a secondary")
        self._until(self._nothing_open, "no handover is open")
        time.sleep(_REST_S)  # part of the plot, not a synchronisation

    def _nothing_open(self) -> bool:
        states = self.node2.entries(SUFFIX, filter_="(objectClass=relocServiceState)")
        fenced = self.node2.entries(SUFFIX, "cn", filter_="(relocFenced=TRUE)")
        return not fenced and all(
            "relocHolder" in state and not {"relocCandidate", "relocPrevious"} & state.keys()
            for state in states.values()
        )

    def _is_primary(self, primary: BaseServer, follower: BaseServer | None = None) -> bool:
        takes = self._has(primary, ADDRESS) and not _follows(primary)
        return takes and (follower is None or _follows(follower))

    def _has(self, server: BaseServer, address: str) -> bool:
        assert server.host is not None
        return ip_address(address) in server.host.addresses()

    def _modify(self, server: BaseServer, ldif: str) -> int:
        """One ldapmodify at a node's own slapd; when it was started."""
        sent_ns = time.monotonic_ns()
        server.modify_as(ADMIN, ldif)
        return sent_ns

    def _client(self, *arguments: str) -> Client:
        output = self.folder / f"client-{next(self._numbers)}.jsonl"
        process = program(self.pair.lan["client"], "slapd.ldap_client", "--output", str(output), *arguments)
        return Client(process, output)

    def _writer(self) -> Client:
        return self._client("--eager", "--write", f"w{next(self._numbers)}-", _PRIMARY)

    def _retire(self, writer: Client, reader: Client) -> None:
        writer.stop()
        reader.stop()
        self._acknowledged |= {each.name for each in writer.answered()}

    def _gap_ms(self, client: Client, since_ns: int) -> float:
        """The longest time without an answer from then on until now."""
        moments = [since_ns, *(each.done_ns or 0 for each in client.answered(since_ns)), time.monotonic_ns()]
        return max(after - before for before, after in pairwise(moments)) / 1e6

    def _agent(self, name: str) -> Node:
        return agent(self.pair, name, self.folder / name, _SETTINGS)

    def _until(self, holds: Callable[[], _T], what: str) -> _T:
        """The first true value; raises `TimeoutError` with the last words of the agents."""
        deadline = time.monotonic() + _PATIENCE_S
        while not (found := holds()):
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{node.log_text()}" for name, node in self.agents.items())
                raise TimeoutError(f"not within {_PATIENCE_S:g} s: {what}\n{logs}")
            time.sleep(0.02)
        return found


def _follows(server: BaseServer) -> bool:
    """Whether the data of a server is a consumer's."""
    return any(values.get("olcUpdateRef") for values in server.config().values())


def _people(server: BaseServer) -> set[str]:
    found = server.entries(DATA, "cn", filter_="(objectClass=person)")
    return {name for values in found.values() for name in values["cn"]}


def _versions(server: BaseServer) -> dict[str, dict[str, Sequence[str]]]:
    return server.entries(DATA, "entryUUID", "entryCSN")
