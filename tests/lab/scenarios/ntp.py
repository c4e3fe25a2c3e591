"""The story of two NTP servers that swap their roles by one modify, seen by a client's own chronyd.

Each node has a real `chronyd -x`, which leaves the machine's clock alone, and an agent. `ntpPrimary` says stratum 5 and
displaces `ntpSecondary`, which says 6; both nodes are linked to the secondary all the time.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self

from tests.lab.deadline import until
from tests.lab.hosts.hosts import Lan
from tests.lab.hosts.node import Node
from tests.lab.slapd.ldif import base_ldif, link_ldif, server_ldif, service_dn, service_ldif
from tests.lab.slapd.slapd import Slapd
from tests.lab.timeline import Timeline

__all__ = ["NtpPairStory"]

_NODES: Final = ("node1", "node2")
_ADDRESSES: Final = {"ntpPrimary": "192.0.2.10", "ntpSecondary": "192.0.2.11"}
_STRATUM: Final = 5
_PATIENCE_S: Final = 30.0
_ANSWERS: Final = 3
_CHRONYD: Final = ["/usr/sbin/chronyd", "-x", "-u", "root", "-f"]
_SERVER: Final = """\
pidfile /run/chrony/chronyd.pid
bindcmdaddress /run/chrony/chronyd.sock
cmdport 0
confdir /etc/chrony/conf.d
"""
# The client asks both addresses four times a second, and its chronyc this one chronyd.
_CLIENT: Final = """\
pidfile {folder}/pid
bindcmdaddress {folder}/sock
cmdport 0
"""
_ASKED: Final = "server {address} minpoll -2 maxpoll -2 iburst\n"


class NtpPairStory:
    """The rig and its plot, as a context manager."""

    title: Final = "A pair of NTP servers"

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ntp-")))
            self.lan = stack.enter_context(Lan([*_NODES, "client", "directory"]))
            self.lan.pin("client")
            directory = Slapd(host=self.lan["directory"], content=_content(), durable=False)
            self.slapd = stack.enter_context(directory)
            for name in _NODES:
                stack.enter_context(self._node(name))
            self._start_client()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def play(self, timeline: Timeline) -> None:
        """node1 is the primary; one modify makes node2 the primary and node1 the secondary."""
        self._claim_roles(timeline, "node1", "node2")
        sent_ns = time.monotonic_ns()
        self.slapd.modify(link_ldif("ntpPrimary", "node2"))
        timeline.mark("one ldapmodify: node2 is linked to ntpPrimary")
        until(lambda: self._holder("ntpPrimary") == "node2", _PATIENCE_S)
        timeline.figure("ldapmodify to the primary's address at node2", (time.monotonic_ns() - sent_ns) / 1e6)
        self._claim_roles(timeline, "node2", "node1")

    def _claim_roles(self, timeline: Timeline, primary: str, secondary: str) -> None:
        """Judge answers that were asked for once the addresses were in place."""
        until(lambda: (self._holder("ntpPrimary"), self._holder("ntpSecondary")) == (primary, secondary), _PATIENCE_S)
        before = self._answers()
        expected = {_ADDRESSES["ntpPrimary"]: _STRATUM, _ADDRESSES["ntpSecondary"]: _STRATUM + 1}
        deadline = time.monotonic() + _PATIENCE_S
        while (strata := self._strata(before)) != expected and time.monotonic() < deadline:
            time.sleep(0.1)
        shown = ", ".join(f"{address}: stratum {stratum}" for address, stratum in strata.items())
        timeline.claim(f"{primary} answers as the primary, {secondary} as the secondary", strata == expected, shown)

    def _strata(self, before: Mapping[str, tuple[int, int]]) -> dict[str, int]:
        """The stratum in the last answer of each address that has answered some more times since `before`."""
        return {
            address: stratum
            for address, (stratum, count) in self._answers().items()
            if count >= before[address][1] + _ANSWERS
        }

    def _answers(self) -> dict[str, tuple[int, int]]:
        """The stratum in the last answer of each address, and the number of its valid answers so far (chronyc(1))."""
        argv = ["chronyc", "-c", "-h", str(self._client / "sock"), "ntpdata"]
        rows = [line.split(",") for line in self.lan["client"].run(argv).stdout.splitlines()]
        return {row[0]: (int(row[8]), int(row[-2])) for row in rows}

    def _holder(self, service: str) -> str:
        address = ip_address(_ADDRESSES[service])
        return " and ".join(name for name in _NODES if address in self.lan[name].addresses())

    def _node(self, name: str) -> Node:
        node = Node(
            self.lan[name],
            self._folder / name,
            [self.slapd.uri],
            tables={
                "guards": {
                    "networks": ["192.0.2.0/24"],
                    "folders": ["/etc/chrony/conf.d"],
                    "units": ["chrony.service"],
                },
                'units.script."chrony.service"': _unit(),
            },
            folders=("/etc/chrony", "/run/chrony"),
        )
        node.place("/etc/chrony/conf.d").mkdir(parents=True)
        node.place("/etc/chrony/chrony.conf").write_text(_SERVER)
        node.place("/run/chrony").mkdir(parents=True, mode=0o750)
        return node

    def _start_client(self) -> None:
        """The client's chronyd; it ends with the laboratory."""
        self._client = self._folder / "c"  # short: a socket has its path in 108 bytes
        self._client.mkdir(mode=0o750)
        asked = "".join(_ASKED.format(address=address) for address in _ADDRESSES.values())
        (self._client / "conf").write_text(_CLIENT.format(folder=self._client) + asked)
        argv = [*_CHRONYD, str(self._client / "conf"), "-d"]
        self.lan["client"].start(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until((self._client / "sock").exists)


def _unit() -> dict[str, list[str]]:
    """Stands for Debian's unit. Not by start-stop-daemon: for it a process runs until it is reaped."""
    pid = "/run/chrony/chronyd.pid"
    stop = f"[ ! -e {pid} ] || kill $(cat {pid}) && while [ -e {pid} ]; do sleep 0.002; done"
    return {
        "start": [*_CHRONYD, "/etc/chrony/chrony.conf"],
        "stop": ["sh", "-c", stop],
        "status": ["test", "-e", pid],
    }


def _content() -> str:
    parameters = {"stratum": str(_STRATUM)}
    primary = service_ldif(
        "ntpPrimary",
        addresses=[f"{_ADDRESSES['ntpPrimary']}/24"],
        template_sets=["chrony"],
        parameters=parameters,
        relocDisplaces=service_dn("ntpSecondary"),
    )
    secondary = service_ldif(
        "ntpSecondary",
        addresses=[f"{_ADDRESSES['ntpSecondary']}/24"],
        template_sets=["chrony"],
        parameters=parameters | {"kind": "secondary", "primary": _ADDRESSES["ntpPrimary"]},
    )
    node1 = server_ldif("node1", services=["ntpPrimary", "ntpSecondary"])
    return base_ldif() + primary + secondary + node1 + server_ldif("node2", services=["ntpSecondary"])
