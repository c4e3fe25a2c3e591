"""The triggers as cluster managers call them, on a real slapd: with relocd's command, and with OpenLDAP's clients.

They are installed as an administrator does it; each run sees its own /etc/relocd and its own folder for claims.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relocd.install.triggers import TRIGGERS, install, targets
from relocd.model.dn import DN
from tests.integration.orders_lab import (
    TWIN,
    access,
    active,
    environment,
    everything,
    fenced,
    guarded_directory,
    links,
    password_file,
    seen,
)
from tests.lab.hosts.folders import with_folders
from tests.lab.slapd.ldif import record, server_dn, service_dn
from tests.lab.slapd.slapd import SUFFIX, Slapd

SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"
OCF_ROOT = "/usr/lib/ocf"
HEARTBEAT = "etc/ha.d/resource.d/relocd"
NOTIFY = "etc/keepalived/relocd-notify"
AGENT = "usr/lib/ocf/resource.d/relocd/service"
ALERT = "etc/pacemaker/relocd-alert"


class Machine:
    """The server node2 with its triggers, its settings and its own folders."""

    def __init__(self, root: Path, slapd: Slapd, *, path: str) -> None:
        self.root = root
        self.slapd = slapd
        self.path = path
        for name in TRIGGERS:
            assert list(install(targets(name, root / "installed")))
        self.folders = {"/etc/relocd": root / "etc", "/run/resource-agents": root / "claims"}
        for folder in self.folders.values():
            folder.mkdir()
        self.set()

    def set(self, *uris: str, **more: str) -> None:
        """Write the settings."""
        own = environment(access(self.root, *(uris or [self.slapd.uri]), patience_s=1))
        own |= {"RELOCD_SERVER": "node2", "RELOCD_TIMEOUT": "10", "RELOCD_STATUS": str(self.root / "status.json")}
        text = "".join(f'{name}="{value}"\n' for name, value in (own | more).items())
        (self.root / "etc" / "trigger.conf").write_text(text)

    def agent_says(self, **states: str) -> None:
        """Leave a status as relocd's agent does."""
        services = [{"name": name, "state": state} for name, state in states.items()]
        (self.root / "status.json").write_text(json.dumps({"services": services}))

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        argv = with_folders([str(self.root / "installed" / script), *arguments], self.folders)
        own = {"PATH": self.path, **variables}
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=own)

    def ocf(self, action: str, **parameters: str) -> int:
        """Call the resource agent as Pacemaker does; its exit code."""
        given = {f"OCF_RESKEY_{name}": value for name, value in {"service": "web", **parameters}.items()}
        instance = {"OCF_ROOT": OCF_ROOT, "OCF_RESOURCE_INSTANCE": "web", "OCF_RESOURCE_TYPE": "service"}
        return self.run(AGENT, action, **instance, **given).returncode


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with guarded_directory(tmp_path_factory.mktemp("directory")) as slapd:
        yield slapd


@pytest.fixture(params=["relocd", "ldapmodify"])
def machine(request: pytest.FixtureRequest, slapd: Slapd, tmp_path: Path) -> Iterator[Machine]:
    """A machine on which relocd's command is, and one on which only OpenLDAP's clients are."""
    own = [str(Path(sys.executable).parent)] * (request.param == "relocd")
    password_file(tmp_path)
    yield Machine(tmp_path, slapd, path=":".join([*own, SYSTEM]))
    slapd.stop()
    slapd.wipe()
    slapd.start()
    slapd.add(slapd.content)


ODD = f"cn=odd\\2C \\5Cname,ou=services,{SUFFIX}"
FAR = f"cn=far,ou=Büros,{SUFFIX}"


class TestNames:
    """A name is what it is in the directory, whatever a shell or LDIF would make of its characters."""

    def test_a_service_by_a_dn_with_backslashes(self, machine: Machine) -> None:
        machine.slapd.add(record(ODD, {"objectClass": "relocService"}))
        assert machine.ocf("start", service=ODD, monitor="directory") == 0
        assert {DN.parse(each) for each in seen(machine.slapd, server_dn("node2"), "relocServiceLink")} >= {
            DN.parse(ODD)
        }
        assert machine.ocf("monitor", service=ODD, monitor="directory") == 0
        machine.agent_says(**{"odd, \\name": "active"})
        assert machine.ocf("monitor", service=ODD) == 0

    def test_a_message_shows_it_as_it_is(self, machine: Machine) -> None:
        name = f"cn=a\\5Cb,ou=services,{SUFFIX}"
        assert name in machine.run(NOTIFY, name).stderr

    def test_a_server_whose_dn_is_written_in_base64(self, machine: Machine) -> None:
        unit = record(f"ou=Büros,{SUFFIX}", {"objectClass": "organizationalUnit"})
        machine.slapd.add(unit + record(FAR, {"objectClass": ["applicationProcess", "relocServer"]}))
        machine.set(RELOCD_SERVER="far")
        assert machine.run(NOTIFY, "web").returncode == 0
        assert seen(machine.slapd, FAR, "relocServiceLink") == [service_dn("web")]

    def test_a_line_break_in_a_name_changes_nothing_else(self, machine: Machine) -> None:
        before = everything(machine.slapd)
        evil = f"cn=web,ou=services,{SUFFIX}\n\ndn: {server_dn('node1')}\nchangetype: delete"
        assert machine.ocf("start", service=evil, monitor="directory") != 0
        assert everything(machine.slapd) == before

    def test_a_name_that_looks_like_an_option_is_a_name(self, machine: Machine) -> None:
        done = machine.run(NOTIFY, "--help")
        assert done.returncode != 0
        assert "Usage" not in done.stderr


class TestHeartbeat:
    def test_a_resource_is_taken_and_given_up_without_a_link_being_removed(self, machine: Machine) -> None:
        assert machine.run(HEARTBEAT, "web", "mail", "status").stdout == "stopped\n"
        done = machine.run(HEARTBEAT, "web", "mail", "start")
        assert done.returncode == 0, done.stderr
        assert links(machine.slapd, "node2") == ["fax", "mail", "web"]
        assert machine.run(HEARTBEAT, "web", "mail", "start").returncode == 0
        assert machine.run(HEARTBEAT, "web", "mail", "status").stdout == "running\n"
        assert machine.run(HEARTBEAT, "web", "mail", "stop").returncode == 0
        assert machine.run(HEARTBEAT, "web", "mail", "status").stdout == "stopped\n"
        assert links(machine.slapd, "node2") == ["fax", "mail", "web"]

    def test_a_stop_removes_the_link_where_the_settings_say_so(self, machine: Machine) -> None:
        machine.set(RELOCD_STOP="unlink")
        machine.run(HEARTBEAT, "web", "start")
        assert [machine.run(HEARTBEAT, "web", "stop").returncode for _ in range(2)] == [0, 0]
        assert links(machine.slapd, "node2") == ["fax"]

    def test_a_claim_ends_when_the_link_is_gone(self, machine: Machine) -> None:
        machine.run(HEARTBEAT, "web", "start")
        machine.slapd.modify(f"dn: {server_dn('node2')}\nchangetype: modify\ndelete: relocServiceLink\n")
        assert machine.run(HEARTBEAT, "web", "status").returncode == 3

    def test_what_nobody_can_tell_is_still_running(self, machine: Machine) -> None:
        machine.run(HEARTBEAT, "web", "start")
        machine.set("ldap://127.0.0.1:1")
        assert machine.run(HEARTBEAT, "web", "status").stdout == "running\n"

    @pytest.mark.parametrize("arguments", [(), ("start",), ("web", "restart")])
    def test_a_wrong_call_is_refused(self, machine: Machine, arguments: tuple[str, ...]) -> None:
        assert machine.run(HEARTBEAT, *arguments).returncode == 2


class TestKeepalived:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (("web", "INSTANCE", "base", "MASTER", "150"), ["fax", "web"]),
            (("web", "mail", "GROUP", "both", "MASTER", "0"), ["fax", "mail", "web"]),
            (("web",), ["fax", "web"]),
            (("web", "INSTANCE", "base", "BACKUP", "100"), ["fax"]),
            (("web", "INSTANCE", "base", "FAULT", "100"), ["fax"]),
            (("web", "INSTANCE", "base", "STOP", "100"), ["fax"]),
        ],
    )
    def test_only_the_master_is_linked(self, machine: Machine, arguments: tuple[str, ...], expected: list[str]) -> None:
        done = machine.run(NOTIFY, *arguments)
        assert done.returncode == 0, done.stderr
        assert links(machine.slapd, "node2") == expected


class TestPacemaker:
    RUNNING, FAILED, NOT_RUNNING = 0, 1, 7

    def test_the_agent_conforms(self, machine: Machine) -> None:
        """By ocf-tester of Debian's resource-agents, with the link as the only witness."""
        given = [argument for name in ("service=web", "monitor=directory") for argument in ("-o", name)]
        place = {f"/{AGENT}".removesuffix("/service"): (machine.root / "installed" / AGENT).parent}
        argv = with_folders(["ocf-tester", "-v", "-n", "web", *given, f"/{AGENT}"], machine.folders | place)
        own = {"PATH": machine.path, "OCF_ROOT": OCF_ROOT}
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=own)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "passed all tests" in done.stdout
        assert links(machine.slapd, "node2") == ["fax", "web"]

    @pytest.mark.parametrize(
        ("states", "expected"),
        [
            ({"web": "active", "fax": "failed"}, RUNNING),
            ({"web": "failed"}, FAILED),
            ({"web": "waiting"}, NOT_RUNNING),
            ({"web": "standby"}, NOT_RUNNING),
            ({"fax": "active"}, NOT_RUNNING),
        ],
    )
    def test_the_word_of_the_agent_counts(self, machine: Machine, states: dict[str, str], expected: int) -> None:
        assert machine.ocf("monitor") == self.NOT_RUNNING
        machine.agent_says(web="active")
        assert machine.ocf("start") == self.RUNNING
        machine.agent_says(**states)
        assert machine.ocf("monitor") == expected
        assert machine.ocf("stop") == self.RUNNING
        assert machine.ocf("monitor") == self.NOT_RUNNING

    def test_a_start_that_leads_to_nothing_fails_in_time(self, machine: Machine) -> None:
        machine.agent_says(web="waiting")
        assert machine.ocf("start", wait="1") == self.FAILED

    def test_a_stop_removes_the_link_where_the_parameter_says_so(self, machine: Machine) -> None:
        machine.agent_says(web="active")
        assert machine.ocf("start") == self.RUNNING
        assert [machine.ocf("stop", stop="unlink") for _ in range(2)] == [0, 0]
        assert links(machine.slapd, "node2") == ["fax"]

    def test_parameters_go_before_the_settings(self, machine: Machine) -> None:
        machine.set("ldap://127.0.0.1:1", RELOCD_BASE="dc=nowhere")
        more = {"uri": machine.slapd.uri, "base": "ou=relocd,dc=example,dc=org", "server": "node3"}
        assert machine.ocf("start", monitor="directory", **more) == 0
        assert links(machine.slapd, "node3") == ["web"]

    @pytest.mark.parametrize("wrong", [{"service": ""}, {"service": " "}, {"stop": "maybe"}, {"monitor": "weather"}])
    def test_a_wrong_parameter_is_a_wrong_configuration(self, machine: Machine, wrong: dict[str, str]) -> None:
        assert machine.ocf("validate-all", **wrong) == 6

    @pytest.mark.parametrize(
        ("event", "expected"),
        [
            ({}, ["TRUE"]),
            ({"desc": "Operation off of node1 by node2: OK"}, ["TRUE"]),
            ({"desc": "Operation on of node1 by node2: OK"}, []),
            ({"rc": "1"}, []),
            ({"kind": "node"}, []),
        ],
    )
    def test_only_a_node_that_was_fenced_is_fenced(
        self, machine: Machine, event: dict[str, str], expected: list[str]
    ) -> None:
        told = {"kind": "fencing", "node": "node1", "rc": "0", "desc": "Operation reboot of node1 by node2: OK"} | event
        machine.run(ALERT, **{f"CRM_alert_{name}": value for name, value in told.items()})
        assert fenced(machine.slapd, "node1") == expected


class TestAnyTrigger:
    """Shown with keepalived's, whose order is the plainest."""

    def test_it_waits_for_a_directory_that_comes_back(self, machine: Machine) -> None:
        machine.slapd.stop()
        argv = with_folders([str(machine.root / "installed" / NOTIFY), "web"], machine.folders)
        with subprocess.Popen(argv, env={"PATH": machine.path}, stderr=subprocess.PIPE, text=True) as trigger:
            assert trigger.stderr is not None
            assert "(3)" in trigger.stderr.readline()
            machine.slapd.start()
            trigger.stderr.read()
            assert trigger.wait(20) == 0
        assert links(machine.slapd, "node2") == ["fax", "web"]

    def test_it_ends_in_time_when_none_answers(self, machine: Machine) -> None:
        machine.set(machine.slapd.uri, RELOCD_TIMEOUT="2")
        machine.slapd.pause()
        begun = time.monotonic()
        done = machine.run(NOTIFY, "web")
        took_s = time.monotonic() - begun
        machine.slapd.resume()
        assert done.returncode == 1
        assert took_s < 6

    def test_it_goes_on_with_the_next_directory(self, machine: Machine) -> None:
        with Slapd(durable=False) as hung:
            hung.pause()
            machine.set("ldap://127.0.0.1:1", hung.uri, machine.slapd.uri)
            assert machine.run(NOTIFY, "web").returncode == 0
        assert links(machine.slapd, "node2") == ["fax", "web"]

    @pytest.mark.parametrize("service", ["twin", "nosuch", "*", "", " "])
    def test_it_does_not_guess_who_is_meant(self, machine: Machine, service: str) -> None:
        before = everything(machine.slapd)
        assert machine.run(NOTIFY, service).returncode != 0
        assert everything(machine.slapd) == before

    @pytest.mark.parametrize(("service", "name"), [(TWIN, TWIN), (service_dn("web"), "web")])
    def test_the_agent_of_pacemaker_takes_a_dn(self, machine: Machine, service: str, name: str) -> None:
        assert machine.ocf("start", service=service, monitor="directory") == 0
        assert name in links(machine.slapd, "node2")
        assert active(machine.slapd) == ["node1"]


class TestInstallation:
    def test_what_is_installed_is_one_file_each(self, tmp_path: Path) -> None:
        """Neither script reads another file but its settings: they work where the rest of relocd is not."""
        for name in TRIGGERS:
            for target in targets(name, tmp_path):
                assert "trigger.sh" not in target.content
                subprocess.run(["sh", "-n"], input=target.content, text=True, check=True, timeout=10)

    def test_the_command_installs_once_and_keeps_settings(self, tmp_path: Path) -> None:
        relocd = [str(Path(sys.executable).with_name("relocd")), "install", "heartbeat", "--root", str(tmp_path)]
        told = [
            subprocess.run([*relocd, *more], capture_output=True, text=True, check=True, timeout=30).stdout
            for more in (["--dry-run"], [])
        ]
        assert not [line for line in told[0].splitlines() if line.startswith("wrote")]
        script, settings = tmp_path / HEARTBEAT, tmp_path / "etc/relocd/trigger.conf"
        assert f"wrote {script}\nwrote {settings}\n" in told[1]
        assert "fill in /etc/relocd/trigger.conf; then, in /etc/ha.d/haresources: node1 relocd::web\n" in told[1]
        assert os.access(script, os.X_OK)
        settings.write_text("mine")
        script.write_text("older")
        again = subprocess.run(relocd, capture_output=True, text=True, check=True, timeout=30).stdout
        assert "wrote" in again
        assert settings.read_text() == "mine"
        assert script.read_text() != "older"
        assert shutil.which("relocd", path=str(script.parent)) == str(script)
