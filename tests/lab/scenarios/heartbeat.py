"""Heartbeat 3 on two machines, in the style of version 1: haresources, and relocd's resource script."""

from __future__ import annotations

from typing import Final

from tests.lab.hosts.cluster_host import ClusterHost

__all__ = ["start_heartbeat"]

_PROGRAM: Final = "/usr/libexec/heartbeat/heartbeat"
_FOLDERS: Final = ("ccm", "crm", "dopd", "rsctmp")
# The order counts: udpport before ucast.
_CONFIGURATION: Final = """\
logfile /var/log/ha-log
debugfile /var/log/ha-debug
keepalive 200ms
warntime 1
deadtime 2
initdead 4
udpport 694
ucast {interface} {peer}
auto_failback off
node {nodes}
crm no
"""


def start_heartbeat(machine: ClusterHost, peer: ClusterHost, resource: str) -> None:
    """Start it and return; `resource` is the line of haresources, beginning with the node that prefers it."""
    nodes = " ".join(sorted((machine.name, peer.name)))
    settings = {"interface": machine.host.interface, "peer": peer.host.ipv4, "nodes": nodes}
    machine.write("/etc/ha.d/ha.cf", _CONFIGURATION.format(**settings))
    machine.write("/etc/ha.d/authkeys", "auth 1\n1 sha1 laboratory\n", mode=0o600)
    machine.write("/etc/ha.d/haresources", f"{resource}\n")
    machine.run(["install", "-d", "/run/resource-agents", "/run/heartbeat"])
    owned = [f"/run/heartbeat/{name}" for name in _FOLDERS]
    machine.run(["install", "-d", "-o", "hacluster", "-g", "haclient", "-m", "0750", *owned])
    machine.start([_PROGRAM])
