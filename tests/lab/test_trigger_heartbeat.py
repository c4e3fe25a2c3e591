"""Debian's Heartbeat as a trigger."""

from tests.lab.heartbeat import start_heartbeat
from tests.lab.trigger_pair import TriggerPair


def test_when_the_node_with_the_resource_dies_the_other_one_is_linked() -> None:
    """The link of the dead one stays: taking it away is for the agents."""
    with TriggerPair("heartbeat") as pair:
        one, two = pair["node1"], pair["node2"]
        start_heartbeat(one, two, "node1 relocd::web")
        start_heartbeat(two, one, "node1 relocd::web")
        one.wait_until(lambda: one.succeeds(["/etc/ha.d/resource.d/relocd", "web", "status"]), "node1 runs it")
        assert pair.linked() == ["node1"]
        one.power_off()
        two.wait_until(lambda: pair.linked() == ["node1", "node2"], "node2 is linked")
