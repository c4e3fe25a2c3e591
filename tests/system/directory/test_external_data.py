"""Data that must be here first: the shipped set `data` with its own script and real mounts, on two servers.

Both mount one shared folder at /srv/relocd/web, each in the file system that its agent sees. The program of the service
notes in there when it starts and stops; its set comes before `data` in every order but that of early units.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from relocd.adapters.units.systemd import SystemdUnits
from relocd.errors import Failed
from relocd.model.host import UnitState
from relocd.model.settings import UnitSettings
from relocd.shipped import shipped_template_sets
from tests.integration.shipped_lab import verified_unit
from tests.lab.deadline import eventually, until
from tests.lab.hosts.hosts import Lan
from tests.lab.hosts.node import Node
from tests.lab.hosts.systemd import Systemd
from tests.lab.slapd.ldif import base_ldif, link_ldif, server_ldif, service_ldif
from tests.lab.slapd.reading import links, state
from tests.lab.slapd.slapd import Slapd
from tests.system.conftest import has, status

NAMES = ("node1", "node2")
PATIENCE_S = 15.0
UNITS = ("relocd-data@web.service", "app-web")


class Rig:
    """Two servers with the same data in reach; the service is linked to node1."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.shared = folder / "shared"
        self.shared.mkdir()
        app = folder / "sets" / "app"
        app.mkdir(parents=True)
        (app / "manifest.toml").write_text('[[unit]]\nname = "app-{name}"\n')
        self.lan = stack.enter_context(Lan((*NAMES, "ldap")))
        service = service_ldif("web", addresses=["192.0.2.50/24"], template_sets=["app", "data"])
        content = base_ldif() + service + server_ldif("node1", services=["web"]) + server_ldif("node2")
        self.slapd = stack.enter_context(Slapd(host=self.lan["ldap"], content=content, durable=False))
        self.nodes = {name: self._node(name) for name in NAMES}
        self._stack = stack

    def start(self, **lines: str) -> None:
        """Start the agents; `lines` are other lines of a server's table of mounts than that of the shared folder."""
        for name, node in self.nodes.items():
            line = lines.get(name, f"{self.shared} /srv/relocd/web none bind 0 0\n")
            (node.place("/etc/relocd") / "data.fstab").write_text(line)
            self._stack.enter_context(node)
        until(lambda: self.serves("node1"), PATIENCE_S)

    def serves(self, name: str) -> bool:
        return has(self.nodes[name], "192.0.2.50") and self.stands(name) == "active"

    def stands(self, name: str) -> str:
        return next((str(each["state"]) for each in status(self.nodes[name])["services"]), "")

    def words(self, name: str) -> str:
        return "; ".join(word for each in status(self.nodes[name])["services"] for word in each["problems"])

    def has_mounted(self, name: str) -> bool:
        """Whether the data is at its place, as the agent of a server sees it."""
        mounts = Path(f"/proc/{self.nodes[name].agent.pid}/mountinfo").read_text()
        return any(line.split()[4] == "/srv/relocd/web" for line in mounts.splitlines())

    def noted(self) -> list[str]:
        return (self.shared / "log").read_text().splitlines()

    def actions(self, name: str) -> list[str]:
        return [line.action for line in self.nodes[name].lines() if line.action]

    def _node(self, name: str) -> Node:
        data, app = UNITS
        note = ["sh", "-c", f'test -d /srv/relocd/web && echo "{name} $1" >> /srv/relocd/web/log', "sh"]
        tables = {
            "guards": {"networks": ["192.0.2.0/24"], "folders": ["/etc/relocd/data"], "units": list(UNITS)},
            "paths": {"template_sets": [str(self.folder / "sets")]},
            "handover": {"lease_s": 2.0},
            "agent": {"retry_min_s": 0.2, "retry_max_s": 1.0},
            f'units.script."{data}"': {
                "start": ["relocd-data", "start", "web"],
                "stop": ["relocd-data", "stop", "web"],
            },
            f'units.script."{app}"': {"start": [*note, "starts"], "stop": [*note, "stops"]},
        }
        places = ["/etc/relocd", "/srv", "/usr/local/sbin"]
        paths = {"state": str(self.folder / name / "state"), "run": str(self.folder / name / "run")}
        tables["paths"] |= paths
        node = Node(self.lan[name], self.folder / name, [self.slapd.uri], tables=tables, folders=places)
        for folder in ("/etc/relocd/data", "/srv/relocd/web", "/usr/local/sbin"):
            node.place(folder).mkdir(parents=True)
        shutil.copy(shipped_template_sets() / "data" / "relocd-data", node.place("/usr/local/sbin"))
        return node


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        rig = Rig(tmp_path, stack)
        yield rig
        for name, node in rig.nodes.items():  # shown by pytest when the test failed
            print("---", name, node.log_text(), sep="\n")


def test_data_moves_with_the_service_and_is_let_go_before_another_server_has_it(rig: Rig) -> None:
    rig.start()
    assert rig.has_mounted("node1")
    rig.slapd.modify(link_ldif("web", "node2"))
    until(lambda: rig.serves("node2") and not links(rig.slapd, "node1"), PATIENCE_S)
    assert rig.noted() == ["node1 starts", "node1 stops", "node2 starts"]
    assert [rig.has_mounted(name) for name in NAMES] == [False, True]
    first, last = rig.actions("node2"), rig.actions("node1")
    assert [first.index(each) for each in _order("start", "raise")] == sorted(
        map(first.index, _order("start", "raise"))
    )
    assert [last.index(each) for each in _order("stop", "drop")[::-1]] == sorted(
        map(last.index, _order("stop", "drop"))
    )


def _order(unit_word: str, address_word: str) -> list[str]:
    """The actions of a start, and backwards of a stop."""
    data, app = UNITS
    return [f"{unit_word} {data}", f"{address_word} 192.0.2.50/24 on eth0", f"{unit_word} {app}"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        pytest.param("/nowhere /srv/relocd/web none bind 0 0\n", "/nowhere is not here", id="no device"),
        pytest.param("", "has no line for /srv/relocd/web", id="no line"),
    ],
)
def test_a_server_without_the_data_is_not_ready_and_takes_nothing_away(rig: Rig, line: str, why: str) -> None:
    rig.start(node2=line)
    rig.slapd.modify(link_ldif("web", "node2"))
    until(lambda: why in rig.words("node2"), PATIENCE_S)
    assert rig.serves("node1")
    assert rig.noted() == ["node1 starts"]
    assert not state(rig.slapd, "web").candidate


def test_a_mount_that_fails_gives_the_service_back_and_no_address_was_raised(rig: Rig) -> None:
    rig.start(node2="/dev/null /srv/relocd/web ext4 defaults 0 0\n")
    rig.slapd.modify(link_ldif("web", "node2"))
    rig.nodes["node2"].wait_for(lambda line: line.fields.get("step") == "FailBack", timeout_s=PATIENCE_S)
    until(lambda: rig.serves("node1") and state(rig.slapd, "web").generation == 3, PATIENCE_S)
    assert rig.has_mounted("node1")
    assert not [each for each in rig.actions("node2") if each.startswith("raise")]
    assert links(rig.slapd, "node2") == frozenset()
    assert rig.noted() == ["node1 starts", "node1 stops", "node1 starts"]


async def test_for_systemd_data_that_is_in_use_has_not_been_stopped(tmp_path: Path) -> None:
    """A stop that fails is done for systemd: the job succeeds, and the unit does not run any more."""
    program, used, name = tmp_path / "relocd-data", tmp_path / "used", "relocd-data@web.service"
    program.write_text(f'#!/bin/sh\n[ "$1" = start ] || [ ! -e {used} ]\n')
    program.chmod(0o755)
    used.touch()
    text = (shipped_template_sets() / "data" / "relocd-data@.service").read_text()
    with Systemd() as systemd:
        systemd.install("relocd-data@.service", text.replace("/usr/local/sbin/relocd-data", str(program)))
        async with SystemdUnits(UnitSettings(timeout_s=0.5), systemd.bus_address) as units:
            await units.start(name)
            with pytest.raises(Failed, match="was not stopped within"):
                await units.stop(name)
            assert await units.state(name) is UnitState.DEACTIVATING
            used.unlink()
            await eventually(lambda: systemd.property(name, "ActiveState") == "inactive")
            await units.stop(name)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    program = str(shipped_template_sets() / "data" / "relocd-data")
    assert verified_unit(tmp_path, "data", "relocd-data", program) == (0, "")
