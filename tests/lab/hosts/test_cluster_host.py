"""A machine of the laboratory is one: what happens on it stays there, and it dies whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.deadline import until
from tests.lab.hosts.cluster_host import ClusterHost
from tests.lab.hosts.hosts import Lan


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[ClusterHost]:
    with Lan(["node1", "node2"]) as lan, ClusterHost(lan["node1"], tmp_path / "node1") as machine:
        yield machine


def test_it_has_a_name_and_processes_of_its_own(machine: ClusterHost) -> None:
    assert machine.run(["hostname"]) == "node1\n"
    assert "reaper.py" in machine.run(["cat", "/proc/1/cmdline"])
    assert len(machine.run(["ps", "-e", "-o", "pid="]).splitlines()) == 2


def test_orphans_are_buried(machine: ClusterHost) -> None:
    machine.run(["sh", "-c", "(sleep 0.01 &)"])
    until(lambda: "sleep" not in machine.run(["ps", "-e", "-o", "comm="]))


def test_its_disk_begins_with_what_the_packages_have_put_there(machine: ClusterHost) -> None:
    assert machine.run(["cat", "/etc/ha.d/shellfuncs"]) == Path("/etc/ha.d/shellfuncs").read_text()
    assert machine.run(["stat", "-c", "%U", "/var/lib/pacemaker/cib"]) == "hacluster\n"


def test_what_it_writes_is_on_no_other_machine(machine: ClusterHost) -> None:
    machine.run(["sh", "-c", "echo mine > /etc/relocd/file; echo mine > /run/file"])
    assert not Path("/etc/relocd/file").exists()
    assert not Path("/run/file").exists()
    assert machine.place("/etc/relocd/file").read_text() == "mine\n"
    with pytest.raises(RuntimeError, match="Read-only"):
        machine.run(["touch", "/etc/passwd"])
    with pytest.raises(KeyError):
        machine.place("/etc/passwd")


def test_switched_off_it_is_dead_at_once_and_nobody_hears_of_it(machine: ClusterHost, tmp_path: Path) -> None:
    """Daemons that ignore signals die, too; the disk is there again afterwards, and the memory is not."""
    machine.run(["ip", "address", "add", "192.0.2.50/24", "dev", "eth0"])
    machine.run(["sh", "-c", "echo kept > /var/log/file; echo lost > /run/file"])
    stubborn = machine.start(["sh", "-c", f"trap '' TERM HUP; echo $$ > {tmp_path}/node1/pid; sleep 600; true"])
    until((tmp_path / "node1" / "pid").exists)
    machine.power_off()
    assert stubborn.poll() is not None
    carrier = machine.host.run(["cat", "/sys/class/net/eth0/operstate"])
    assert carrier != "up\n"
    with pytest.raises(RuntimeError, match="is off"):
        machine.run(["true"])
    machine.power_on()
    assert machine.run(["cat", "/var/log/file"]) == "kept\n"
    assert not machine.succeeds(["test", "-e", "/run/file"])
    assert {str(address) for address in machine.host.addresses()} >= {machine.host.ipv4, machine.host.ipv6}
    assert "192.0.2.50" not in map(str, machine.host.addresses())
    machine.run(["ping", "-c", "1", "-W", "2", "192.0.2.2"])


def test_a_daemon_that_would_reboot_the_machine_finds_no_trigger(machine: ClusterHost) -> None:
    for name in ("/proc/sysrq-trigger", "/dev/console"):
        if Path(name).exists():
            assert machine.run(["stat", "-c", "%t:%T", name]) == "1:3\n"  # /dev/null
