"""Debian's Pacemaker with corosync as a trigger."""

from tests.lab.pacemaker import Pacemaker
from tests.lab.trigger_pair import TriggerPair


def test_when_the_node_with_the_resource_dies_the_other_one_is_linked() -> None:
    """The link of the dead one stays: taking it away is for the agents."""
    with TriggerPair("pacemaker") as pair:
        parameters = {"service": "web", "monitor": "directory"}
        nodes = {name: Pacemaker(machine, pair.machines, parameters) for name, machine in pair.machines.items()}
        for node in nodes.values():
            node.start()
        pair["node1"].wait_until(nodes["node1"].runs, "node1 runs it", 50)
        assert pair.linked() == ["node1"]
        pair["node1"].power_off()
        pair["node2"].wait_until(lambda: pair.linked() == ["node1", "node2"], "node2 is linked", 30)
