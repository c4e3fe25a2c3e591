"""Addresses and entries of which there are two, and a taker that cannot have what it would take."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final

from tests.lab.deadline import until
from tests.lab.faults.kind import Kind
from tests.lab.faults.rig import SERVICE, Rig
from tests.lab.hosts.stage import ADDRESS
from tests.lab.slapd.ldif import SUFFIX, record, server_dn
from tests.lab.timeline import Claim

__all__ = ["AddressTwice", "ClonedServer", "ForeignAddress", "MarkLost", "NameTwice", "RecordFull"]

_COPIES: Final = (
    ("replace", f"{ADDRESS}/24", "eth0"),
    ("add", f"{ADDRESS}/32", "eth0"),
    ("add", f"{ADDRESS}/32", "lo"),
)
_LOOK_S: Final = 3.0


class MarkLost(Kind):
    """The holder's address loses our mark, or stands there twice: then "let go" is no word about the kernel."""

    name = "mark-lost"
    what = "the address is set by hand at the holder, over ours or beside it, and the service moved"

    def disturb(self) -> None:
        rig = self.rig
        verb, self.address, self.interface = _COPIES[(self.number - 1) % len(_COPIES)]
        rig.stage.lan[self.old].run(["ip", "address", verb, self.address, "dev", self.interface])
        rig.order(self.new)
        rig.watch_for(rig.lease_s, lambda: rig.stage.holders() == [self.new])

    def heal(self) -> None:
        """Take the copy away where it is left; the agent may have done so."""
        argv = ["ip", "address", "delete", self.address, "dev", self.interface]
        if self.old in self.rig.stage.holders():
            host = self.rig.stage.lan[self.old]
            subprocess.run(host.command(argv), check=False, capture_output=True, timeout=10)


class AddressTwice(Kind):
    """A second service at the same server claims the address: it has a problem and takes nothing, also when it goes."""

    name = "address-twice"
    what = "a second service with the same address at the same server comes and goes"

    def disturb(self) -> None:
        self.began_ns = time.monotonic_ns()
        self.rig.serve_also("mail", self.old, addresses=[f"{ADDRESS}/24"], template_sets=["plain"])
        self.rig.watch_for(_LOOK_S, lambda: self.rig.stage.service_status(self.old, "mail").get("problems"))
        self.rig.watch_for(1.0)
        self.status = self.rig.stage.service_status(self.old, "mail")

    def heal(self) -> None:
        self.rig.forget("mail", self.old)

    def ends_at(self) -> Sequence[str]:
        return [self.old]

    def claims(self) -> Iterable[Claim]:
        shown = f"{self.status.get('state')}: {self.status.get('problems')}"
        yield Claim("the second is not active", self.status.get("state") != "active", shown)
        yield Claim(
            "the second has a problem that names the address", ADDRESS in str(self.status.get("problems")), shown
        )
        yield self.rig.stays(self.old, self.began_ns)


class NameTwice(Kind):
    """A service of the same name elsewhere in the tree claims the same file and unit: it takes nothing, either."""

    name = "name-twice"
    what = "a second service with the same name in another part of the tree comes and goes"

    def disturb(self) -> None:
        self.dn = f"cn={SERVICE},ou=clusters,{SUFFIX}"
        facts = {"objectClass": "relocService", "relocTemplateSet": "unit", "relocParameter": "word=second"}
        self.rig.slapd.add(record(self.dn, {**facts, "relocExclusive": "FALSE"}))
        self._link("add")
        self.rig.watch_for(2.0)

    def _link(self, verb: str) -> None:
        change = f"changetype: modify\n{verb}: relocServiceLink\nrelocServiceLink: {self.dn}\n"
        self.rig.slapd.modify(f"dn: {server_dn(self.old)}\n{change}")

    def heal(self) -> None:
        self.word = self.rig.file(self.old).read_text().strip()
        self._link("delete")
        self.rig.watch_for(1.0)
        self.rig.slapd.modify(f"dn: {self.dn}\nchangetype: delete\n")

    def ends_at(self) -> Sequence[str]:
        return [self.old]

    def claims(self) -> Iterable[Claim]:
        yield Claim("the file is that of the first", self.word != "second", self.word)
        yield Claim("the file is still there", self.rig.file(self.old).exists())
        yield Claim("the unit still runs", self.rig.unit(self.old).runs)


class _UnfitTaker(Kind):
    """The server that is linked cannot take over: the healthy holder serves on until it can.

    One that can all the same, for it does not need what it lacks, takes over once and for good.
    """

    def disturb(self) -> None:
        rig = self.rig
        self.spoil()
        self.generation, self.began_ns = rig.state(self.old).generation, time.monotonic_ns()
        rig.order(self.new)
        rig.watch_for(_LOOK_S)
        handed = rig.state(self.old).generation - self.generation
        took = rig.stage.holders() == [self.new] and handed == 1
        self.found = [Claim("it is handed over for good or not at all", took or not handed, f"{handed} handovers")]
        if not took:
            self.found.append(rig.stays(self.old, self.began_ns))

    def spoil(self) -> None:
        raise NotImplementedError

    def claims(self) -> Iterable[Claim]:
        return self.found


class ForeignAddress(_UnfitTaker):
    name = "foreign-address"
    what = "the address already stands at the server that is linked, set by somebody else"
    answers_twice = True

    def spoil(self) -> None:
        self._change("add")

    def heal(self) -> None:
        self._change("delete")

    def _change(self, verb: str) -> None:
        self.rig.stage.lan[self.new].run(["ip", "address", verb, f"{ADDRESS}/32", "dev", "lo"])


class RecordFull(_UnfitTaker):
    name = "record-full"
    what = "the run folder of the server that is linked is full"

    @classmethod
    def prepare(cls, rig: Rig, stack: ExitStack) -> Mapping[str, Any]:
        """A small file system of its own for the run folder of each server."""
        for name in rig.names:
            run = rig.stage.folder / name / "run"
            run.mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(run)], check=True)
            stack.callback(subprocess.run, ["umount", "--lazy", str(run)], check=True)
        return cls.tables

    def spoil(self) -> None:
        with self._filler.open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(512))
            except OSError:
                return  # full

    def heal(self) -> None:
        self._filler.unlink()

    @property
    def _filler(self) -> Any:
        return self.rig.stage.folder / self.new / "run" / "filler"


class ClonedServer(Kind):
    """A copy of node1 with its identity starts: it has to notice, and begins nothing that one server only may run."""

    name = "cloned-server"
    what = "a second agent with the entry of node1 starts, a service without an address runs there"
    servers = ("node1", "node2", "node3")
    spare = ("node3",)
    alone = ("web", "mail")

    def disturb(self) -> None:
        rig = self.rig
        rig.serve_also("mail", "node1", template_sets=["unit"], relocExclusive="TRUE", relocParameter="word=mail")
        until(lambda: rig.unit("node1", "mail").runs)
        if "node3" in rig.stage.nodes:
            rig.node("node3").start()
        else:
            rig.stage.start("node3", tables={"server": {"dn": server_dn("node1")}})
        rig.watch_for(_LOOK_S)
        self.problems = [rig.stage.status(name).get("problems") for name in ("node1", "node3")]

    def heal(self) -> None:
        rig = self.rig
        rig.node("node3").stop()
        for service in self.alone:
            rig.unit("node3", service).vanish()
        rig.forget("mail", "node1")

    def ends_at(self) -> Sequence[str]:
        return [self.old]

    def claims(self) -> Iterable[Claim]:
        yield Claim("one of the two complains", any(self.problems), str(self.problems))
