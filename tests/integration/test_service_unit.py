"""`relocd install systemd`: what systemd says of the unit, and the agent under it with a real systemd and slapd."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from relocd.install.service_unit import quoted, unit_target
from tests.lab.deadline import until
from tests.lab.hosts.node import toml
from tests.lab.hosts.systemd import Systemd
from tests.lab.slapd.slapd import PASSWORD, ROOT_DN, SUFFIX, Slapd, base_ldif, server_dn, server_ldif, service_ldif

TREE = Path(__file__).parents[2]
ADDRESS = "192.0.2.50/24"
UNIT = "relocd.service"
SERVED = "u-web.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as the command installs it."""
    relocd = [str(Path(sys.executable).with_name("relocd")), "install", "systemd", "--root", str(tmp_path)]
    subprocess.run([*relocd, "--dry-run"], check=True, capture_output=True, timeout=30)
    assert not (tmp_path / "etc").exists()
    told = subprocess.run(relocd, check=True, capture_output=True, text=True, timeout=30).stdout
    assert "systemctl enable --now relocd" in told
    return tmp_path / "etc/systemd/system" / UNIT


def test_systemd_finds_nothing_wrong_with_it(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_its_exposure_is_the_one_in_the_pages(unit: Path) -> None:
    argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout
    score = re.search(r"Overall exposure level for \S+: (\S+)", told)
    said = re.search(r"exposure of\s+(\d+\.\d+)", (TREE / "docs" / "install.md").read_text())
    assert score is not None
    assert said is not None
    assert score[1] == said[1]


def test_a_crash_leaves_no_image_of_its_memory(unit: Path) -> None:
    assert "LimitCORE=0" in unit.read_text().splitlines()


def test_it_is_written_once(unit: Path) -> None:
    target = unit_target(unit.parents[3])
    assert target.path == unit
    assert target.is_there
    unit.write_text("older")
    assert not target.is_there


@pytest.mark.parametrize(
    ("path", "word"),
    [("/opt/relocd/bin/relocd", "/opt/relocd/bin/relocd"), ("/a b/100%/$x", '"/a b/100%%/$$x"')],
)
def test_the_program_is_one_word(path: str, word: str) -> None:
    assert quoted(path) == word


class Machine:
    """One machine with systemd, one interface, and the agent as its unit; a slapd beside it."""

    def __init__(self, systemd: Systemd, slapd: Slapd, folder: Path) -> None:
        self.systemd = systemd
        self._slapd = slapd
        self._folder = folder
        self.inside("mount", "-t", "tmpfs", "tmpfs", "/var/lib")  # the agent's state belongs to this machine
        self.inside("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        for name in ("eth0", "eth1"):
            self.inside("ip", "link", "set", name, "up")
        self.inside("ip", "address", "add", "192.0.2.1/24", "dev", "eth0")

    def install(self, unit: Path) -> None:
        """The unit as it is, and a drop-in for what only a laboratory has: everything it needs is below /tmp."""
        self._configure()
        self.systemd.install(UNIT, *unit.read_text().splitlines())
        self.systemd.install(SERVED, "[Service]", "ExecStart=sleep infinity")
        (self.systemd.folder / f"{UNIT}.d").mkdir()
        places = " ".join(str(path) for path in (TREE, Path(sys.prefix), self._slapd.folder, self._folder))
        lines = ["[Service]", f"BindPaths={places}", f"Environment=RELOCD_CONFIG={self._folder / 'relocd.toml'}"]
        lines += [f"StandardError=append:{self._folder / 'log'}"]
        (self.systemd.folder / f"{UNIT}.d" / "lab.conf").write_text("\n".join(lines) + "\n")
        self.systemd.systemctl("daemon-reload")

    def inside(self, *command: str) -> str:
        """What a command prints in the machine's namespaces."""
        enter = ["nsenter", f"--target={self.systemd.pid}", "--mount", "--net", "--"]
        return subprocess.run([*enter, *command], check=True, capture_output=True, text=True, timeout=10).stdout

    def has_address(self) -> bool:
        return f"inet {ADDRESS} " in self.inside("ip", "address", "show", "dev", "eth0")

    def log_text(self) -> str:
        """What the agent logged."""
        return (self._folder / "log").read_text()

    def _configure(self) -> None:
        (self._folder / "password").write_text(PASSWORD + "\n")
        (self._folder / "password").chmod(0o600)
        (self._folder / "files").mkdir()
        directory = {"uris": [self._slapd.ldapi_uri], "base": SUFFIX, "bind": "simple", "bind_dn": ROOT_DN}
        tables = {
            "server": {"dn": server_dn("node1")},
            "directory": directory | {"password_file": str(self._folder / "password")},
            "guards": {"networks": ["192.0.2.0/24"], "folders": [str(self._folder / "files")], "units": ["u-*"]},
            "paths": {"template_sets": [str(self._folder / "sets")]},
        }
        (self._folder / "relocd.toml").write_text(toml(tables))
        self._template_set(self._folder / "sets" / "plain")

    def _template_set(self, folder: Path) -> None:
        """One file that belongs to somebody else, and is checked by a program."""
        folder.mkdir(parents=True)
        (folder / "plain.j2").write_text("hello\n")
        target = self._folder / "files" / "plain.conf"
        (folder / "manifest.toml").write_text(
            f'[[file]]\nsource = "plain.j2"\ntarget = "{target}"\nowner = "nobody"\n'
            'checks = [["grep", "-q", "hello", "{file}"]]\n'
            f'[[unit]]\nname = "{SERVED}"\n'
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    entries = base_ldif() + service_ldif("web", addresses=[ADDRESS], template_sets=["plain"])
    content = entries + server_ldif("node1", services=["web"])
    with ExitStack() as stack:
        slapd = stack.enter_context(Slapd(content=content, durable=False))
        folder = tmp_path / "machine"
        folder.mkdir()
        made = Machine(stack.enter_context(Systemd()), slapd, folder)
        yield made
        print(made.log_text())


def test_the_agent_works_under_it_and_a_restart_keeps_what_it_serves(unit: Path, machine: Machine) -> None:
    """Ready, an address, a unit, a file of somebody else's, real-time scheduling; a restart, a reload: all the same."""
    machine.install(unit)
    machine.systemd.systemctl("start", UNIT)  # returns when the agent has said READY
    until(machine.has_address)
    until(lambda: "1 active" in machine.systemd.property(UNIT, "StatusText"))
    pid, served = (machine.systemd.property(name, "MainPID") for name in (UNIT, SERVED))
    file = next((unit.parents[3] / "machine" / "files").iterdir())
    assert file.owner() == "nobody"
    changes = machine.systemd.folder / "changes"
    watch = ["nsenter", f"--target={machine.systemd.pid}", "--net", "--", "ip", "-o", "monitor", "address"]
    with changes.open("w") as seen, subprocess.Popen(watch, stdout=seen) as watcher:
        until(lambda: machine.inside("ip", "address", "replace", "192.0.2.9/32", "dev", "eth1") or changes.read_text())
        machine.inside("sh", "-c", "echo normal > /run/relocd/mode")
        machine.systemd.systemctl("restart", UNIT)
        until(lambda: "1 active" in machine.systemd.property(UNIT, "StatusText"))
        machine.systemd.systemctl("reload", UNIT)
        until(lambda: machine.log_text().count("agent starts") == 3)
        until(lambda: "1 active" in machine.systemd.property(UNIT, "StatusText"))
        watcher.terminate()
    assert machine.systemd.property(UNIT, "MainPID") != pid
    assert machine.systemd.property(SERVED, "MainPID") == served != "0"
    assert machine.has_address()
    assert machine.inside("cat", "/run/relocd/mode") == "normal\n"
    assert "Deleted" not in changes.read_text()
    assert "does not allow real-time" not in machine.log_text()
