"""Debian's Heartbeat as a trigger."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.scenarios.heartbeat import start_heartbeat
from tests.lab.scenarios.trigger_pair import TriggerPair

STATUS = ["/etc/ha.d/resource.d/relocd", "web", "status"]


@contextmanager
def running() -> Iterator[TriggerPair]:
    """Heartbeat on both machines, and the resource on node1."""
    with TriggerPair("heartbeat") as pair:
        one, two = pair["node1"], pair["node2"]
        start_heartbeat(one, two, "node1 relocd::web")
        start_heartbeat(two, one, "node1 relocd::web")
        one.wait_until(lambda: one.succeeds(STATUS), "node1 runs it", 30)
        assert pair.linked() == ["node1"]
        yield pair


def test_when_the_node_with_the_resource_dies_the_other_one_is_linked() -> None:
    """The link of the dead one stays: taking it away is for the agents."""
    with running() as pair:
        pair["node1"].power_off()
        pair["node2"].wait_until(lambda: pair.linked() == ["node1", "node2"], "node2 is linked")


def test_a_planned_takeover_links_the_next_one_and_unlinks_nobody() -> None:
    """The first node gives the resource up before the second one takes it: its link stays, and it serves on."""
    with running() as pair:
        one, two = pair["node1"], pair["node2"]
        two.run(["/usr/share/heartbeat/hb_takeover", "all"])
        two.wait_until(lambda: two.succeeds(STATUS), "node2 runs it")
        assert not one.succeeds(STATUS)
        assert pair.linked() == ["node1", "node2"]
