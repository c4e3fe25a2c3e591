"""`relocd doctor` on a server with a real agent, and what it reads of a real systemd-networkd."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from relocd.doctor.host.facts import Manager
from tests.lab.deadline import until
from tests.lab.hosts.node import Node
from tests.system.conftest import Pair, has, linked, status

RELOCD = str(Path(sys.executable).with_name("relocd"))


def here(node: Node, *options: str) -> dict[str, list[dict[str, Any]]]:
    """The findings about the host, by check."""
    argv = node.host.command([RELOCD, "doctor", "--json", "--config", str(node.config), *options])
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    found: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(done.stdout)["findings"]:
        if each["subject"] == "this host":
            found.setdefault(each["check"], []).append(each)
    return found


def test_a_server_that_serves_is_all_ok_and_says_where_its_addresses_are(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    node = pair.node("node1")
    until(lambda: has(node) and not status(node)["problems"])
    found = here(node)
    assert {each["level"] for some in found.values() for each in some} == {"ok"}, found
    assert found["addresses"][0]["names"] == ["eth0"]
    assert str(node.agent.pid) in found["capabilities"][0]["what"]


def test_what_the_agent_would_stumble_over_is_named_before_it_runs(pair: Pair) -> None:
    pair.service("web", addresses=["198.51.100.9/24"])
    pair.service("mail", addresses=["192.0.2.9/24"], relocInterface="eth7")
    pair.template_set("bad", '[[file]]\nsorce = "x"\n', {})
    pair.add(linked("node1", "web", "mail"))
    node = pair.node("node1", {"guards": {"folders": ["/nonexistent/files"]}}, start=False)
    with node:
        node.stop()
        found = here(node)
    assert (found["agent"][0]["kind"], found["agent"][0]["level"]) == ("no-agent", "warning")
    assert {(each["kind"], each["service"]) for each in found["addresses"]} == {
        ("address-misplaced", "web"),
        ("address-misplaced", "mail"),
    }
    assert "relocInterface" in "".join(each["advice"] for each in found["addresses"])
    assert (found["check"][0]["kind"], found["check"][0]["names"]) == ("check-failed", ["template set bad"])
    assert "'sorce'" in found["check"][0]["what"]
    assert (found["guards"][0]["kind"], found["guards"][0]["names"]) == ("folder-missing", ["/nonexistent/files"])


def test_an_agent_that_is_paused_is_said_to_be(pair: Pair) -> None:
    pair.add(linked("node1"))
    node = pair.node("node1")
    until(lambda: status(node)["directory"]["state"] == "current")
    argv = [RELOCD, "pause", "--status", str(node.folder / "run" / "status.json")]
    subprocess.run(argv, check=True, capture_output=True, timeout=30)
    (found,) = here(node, "--host")["agent"]
    assert (found["kind"], found["names"]) == ("agent-mode", ["paused"])


def of_directory(pair: Pair, *options: str) -> list[dict[str, Any]]:
    """The findings about the directory over its socket, on a server that has an agent."""
    pair.add(linked("node1"))
    node = pair.node("node1")
    until(lambda: status(node)["directory"]["state"] == "current")
    argv = [RELOCD, "doctor", "--json", "--directory", "--config", str(node.config), "--uri", pair.slapd.ldapi_uri]
    done = subprocess.run([*argv, *options], capture_output=True, text=True, timeout=60, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    assert {each["subject"] for each in found} == {pair.slapd.ldapi_uri}
    return found


def test_another_directory_is_looked_at_as_the_agent_of_the_configuration(pair: Pair) -> None:
    """As root over the socket of its host slapd's own configuration is readable, too."""
    found = of_directory(pair)
    assert {"indexes", "clocks", "access"} <= {each["check"] for each in found if each["level"] == "ok"}


def test_the_rights_of_another_identity_are_not_judged_as_those_of_the_agent(pair: Pair) -> None:
    found = of_directory(pair, "--base", pair.suffix, "--external")
    access = [each for each in found if each["check"] == "access"]
    assert "error" not in {each["level"] for each in access}
    assert access[0]["kind"] == "not-a-server"


NETWORKD = """
mount -t sysfs -o ro none /sys && mount -t tmpfs none /run || exit 1
mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network /run/systemd/netif
ip link add ours type veth peer name other && ip link set other up && ip link set ours up
printf '[Match]\\nName=ours\\n[Network]\\nAddress=192.0.2.1/24\\nDNS=192.0.2.2\\nDNS=192.0.2.3\\n' \
    > /run/systemd/network/10-ours.network
/lib/systemd/systemd-networkd 2>/dev/null & networkd=$!
for _ in $(seq 200); do
    grep -qs NETWORK_FILE=/ /run/systemd/netif/links/$(cat /sys/class/net/ours/ifindex) && break
    read -r -t 0.05 <> <(:)
done
"$@"
mkdir /run/systemd/network/10-ours.network.d
printf '[Network]\\nKeepConfiguration=yes\\n' > /run/systemd/network/10-ours.network.d/keep.conf
"$@"
kill $networkd
"""


def test_the_file_of_networkd_and_its_drop_ins_are_read() -> None:
    """A real one, in namespaces of its own; its state file names the file that it uses for an interface."""
    look = "from relocd.doctor.host.probe import networks; print(networks().managers)"
    argv = ["unshare", "--mount", "--net", "--kill-child", "--fork", "--pid", "--mount-proc"]
    shell = [*argv, "bash", "-c", NETWORKD, "bash", sys.executable, "-c", look]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=60, check=False)
    file = "/run/systemd/network/10-ours.network"
    expected = [{"ours": Manager("systemd-networkd", file, keeps)} for keeps in ("", "yes")]
    assert done.stdout.splitlines() == [str(each) for each in expected], done.stderr
