"""Pacemaker with corosync on two machines: one resource of relocd's agent, with or without a power switch.

The power switch is cluster-glue's `null`, which says that it worked: who uses it here has switched the node off before.
With it, relocd's alert says in the directory that a node was fenced.

The first cluster configuration lies on the disk before anything starts, with a short `dc-deadtime`: by default a node
waits 20 seconds for somebody else who might coordinate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.lab.hosts.cluster_host import ClusterHost

__all__ = ["Pacemaker"]

_COROSYNC: Final = """\
totem {{
    version: 2
    cluster_name: laboratory
    transport: knet
    crypto_cipher: none
    crypto_hash: none
    token: 1000
}}
nodelist {{
{nodes}
}}
quorum {{
    provider: corosync_votequorum
    two_node: 1
    wait_for_all: 1
}}
logging {{
    to_stderr: yes
    to_syslog: no
    to_logfile: no
}}
"""
_CIB_FILE: Final = "/var/lib/pacemaker/cib/cib.xml"
_NODE: Final = "    node {{\n        name: {name}\n        nodeid: {number}\n        ring0_addr: {address}\n    }}"
_CIB: Final = """\
<cib crm_feature_set="3.0.0" validate-with="pacemaker-3.0" epoch="1" num_updates="0" admin_epoch="0">
  <configuration>
    <crm_config>
      <cluster_property_set id="options">
        {options}
      </cluster_property_set>
    </crm_config>
    <nodes/>
    <resources>
      <primitive id="web" class="ocf" provider="relocd" type="service">
        <instance_attributes id="web-parameters">
          {parameters}
        </instance_attributes>
        <operations>
          <op id="web-monitor" name="monitor" interval="2s" timeout="20s"/>
          <op id="web-start" name="start" interval="0" timeout="60s"/>
          <op id="web-stop" name="stop" interval="0" timeout="30s"/>
        </operations>
      </primitive>
      {power}
    </resources>
    <constraints>
      <rsc_location id="web-first" rsc="web" node="node1" score="10"/>
    </constraints>
    {alerts}
  </configuration>
  <status/>
</cib>
"""
_OPTIONS: Final = {"no-quorum-policy": "ignore", "dc-deadtime": "3s"}
_POWER: Final = """\
<primitive id="power" class="stonith" type="null">
        <instance_attributes id="power-parameters">
          <nvpair id="power-hostlist" name="hostlist" value="{nodes}"/>
        </instance_attributes>
      </primitive>"""
_ALERTS: Final = '<alerts><alert id="relocd-fenced" path="/etc/pacemaker/relocd-alert"/></alerts>'


class Pacemaker:
    """One node of the cluster; `parameters` are those of the resource `web`, which prefers node1."""

    def __init__(
        self,
        machine: ClusterHost,
        members: Mapping[str, ClusterHost],
        parameters: Mapping[str, str],
        *,
        fencing: bool = False,
    ) -> None:
        self._machine = machine
        self._members = members
        self._parameters = parameters
        self._fencing = fencing

    def start(self) -> None:
        """Start both daemons and return."""
        machine = self._machine
        nodes = [
            _NODE.format(name=name, number=number, address=each.host.ipv4)
            for number, (name, each) in enumerate(self._members.items(), start=1)
        ]
        machine.write("/etc/corosync/corosync.conf", _COROSYNC.format(nodes="\n".join(nodes)))
        machine.write(_CIB_FILE, self._configuration(), mode=0o600)
        machine.run(["chown", "hacluster:haclient", _CIB_FILE])
        machine.run(["install", "-d", "/run/resource-agents", "/var/log/corosync"])
        machine.run(["install", "-d", "-o", "hacluster", "-g", "haclient", "/run/crm", "/var/log/pacemaker"])
        machine.start(["corosync", "-f"])
        machine.wait_until(lambda: machine.succeeds(["corosync-cfgtool", "-s"]), "corosync answers")
        machine.start(["pacemakerd", "-f"], PCMK_logfile="/var/log/pacemaker/pacemaker.log")

    def runs(self) -> bool:
        """Whether this node runs the resource, as the cluster sees it from here; a start under way counts."""
        return self._located() == self._machine.name

    def _configuration(self) -> str:
        options = {"stonith-enabled": str(self._fencing).lower(), **_OPTIONS}
        return _CIB.format(
            options=_pairs("option", options),
            parameters=_pairs("parameter", self._parameters),
            power=_POWER.format(nodes=" ".join(self._members)) if self._fencing else "",
            alerts=_ALERTS if self._fencing else "",
        )

    def _located(self) -> str:
        try:
            output = self._machine.run(["crm_resource", "--resource", "web", "--locate"])
        except RuntimeError:  # the cluster is not there yet
            return ""
        return output.rpartition("is running on: ")[2].strip()


def _pairs(kind: str, values: Mapping[str, str]) -> str:
    return "".join(f'<nvpair id="{kind}-{name}" name="{name}" value="{value}"/>' for name, value in values.items())
