"""Debian's keepalived as a trigger."""

from tests.lab.scenarios.keepalived_pair import start_keepalived
from tests.lab.scenarios.trigger_pair import TriggerPair


def test_when_the_master_dies_the_other_one_is_linked() -> None:
    """The link of the dead one stays: taking it away is for the agents."""
    with TriggerPair("keepalived") as pair:
        one, two = pair["node1"], pair["node2"]
        start_keepalived(one, 150)
        one.wait_until(lambda: "Entering MASTER STATE" in one.log_text(), "node1 is master")
        start_keepalived(two, 100)
        two.wait_until(lambda: "Entering BACKUP STATE" in two.log_text(), "node2 is backup")
        assert pair.linked() == ["node1"]
        one.power_off()
        two.wait_until(lambda: pair.linked() == ["node1", "node2"], "node2 is linked")
