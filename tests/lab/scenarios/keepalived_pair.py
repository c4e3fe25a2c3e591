"""keepalived on two machines, with relocd's notify script: the master is linked to the service.

It raises no address of its own; that is relocd's work. An advertisement a second, as by default, so that the death of
the master is noticed after three of them and a bit.
"""

from __future__ import annotations

from typing import Final

from tests.lab.hosts.cluster_host import ClusterHost

__all__ = ["NOTIFY", "start_keepalived"]

NOTIFY: Final = "/etc/keepalived/relocd-notify web"
_CONFIGURATION: Final = """\
global_defs {{
    router_id {name}
    enable_script_security
    script_user root
}}
vrrp_instance web {{
    state BACKUP
    interface {interface}
    virtual_router_id 20
    priority {priority}
    advert_int 1
    notify "{notify}"
}}
"""


def start_keepalived(machine: ClusterHost, priority: int) -> None:
    """Start it and return; the machine with the higher priority becomes the master."""
    settings = {"name": machine.name, "interface": machine.host.interface, "priority": priority, "notify": NOTIFY}
    machine.write("/etc/keepalived/keepalived.conf", _CONFIGURATION.format(**settings))
    machine.start(["keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp"])
