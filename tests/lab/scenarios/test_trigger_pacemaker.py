"""Debian's Pacemaker with corosync as a trigger."""

import pytest

from tests.lab.scenarios.pacemaker import Pacemaker
from tests.lab.scenarios.trigger_pair import TriggerPair

PARAMETERS = {"service": "web", "monitor": "directory"}


def test_a_planned_move_links_the_next_one_and_unlinks_nobody() -> None:
    """The stop on the first node, which comes before the start on the second, leaves the link: it serves on."""
    with TriggerPair("pacemaker") as pair:
        one, two = pair["node1"], pair["node2"]
        nodes = [Pacemaker(machine, pair.machines, PARAMETERS) for machine in (one, two)]
        for node in nodes:
            node.start()
        one.wait_until(nodes[0].runs, "node1 runs it", 50)
        one.run(["crm_resource", "--resource", "web", "--move", "--node", "node2"])
        two.wait_until(lambda: pair.linked() == ["node1", "node2"], "node2 is linked", 30)
        two.wait_until(nodes[1].runs, "node2 runs it")
        assert not nodes[0].runs()


@pytest.mark.parametrize("fencing", [False, True], ids=["no power switch", "a power switch"])
def test_when_the_node_with_the_resource_dies_the_other_one_is_linked(fencing: bool) -> None:
    """The link of the dead one stays: taking it away is for the agents. Only with a power switch is it fenced."""
    with TriggerPair("pacemaker") as pair:
        one, two = pair["node1"], pair["node2"]
        nodes = [Pacemaker(machine, pair.machines, PARAMETERS, fencing=fencing) for machine in (one, two)]
        for node in nodes:
            node.start()
        one.wait_until(nodes[0].runs, "node1 runs it", 50)
        assert (pair.linked(), pair.fenced()) == (["node1"], [])
        one.power_off()
        two.wait_until(lambda: pair.linked() == ["node1", "node2"], "node2 is linked", 30)
        if fencing:
            two.wait_until(lambda: pair.fenced() == ["node1"], "node1 is fenced")
        assert pair.fenced() == ["node1"] * fencing
