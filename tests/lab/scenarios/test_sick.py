"""What a client has seen of a failure."""

import pytest

from tests.lab.probers.judgement import Probe
from tests.lab.scenarios.flapping import most_within
from tests.lab.scenarios.sick import limit_ms, outage_ms
from tests.lab.scenarios.sick_hosts import FAILURES
from tests.lab.scenarios.sick_rivals import FALL, INTERVAL_S, TIMEOUT_S

MS = 1_000_000


def good(at_ms: int, host: str) -> Probe:
    """An answer that took a millisecond."""
    return Probe(at_ms * MS, host=host, answered_ns=(at_ms + 1) * MS)


def bad(at_ms: int) -> Probe:
    return Probe(at_ms * MS)


def test_an_outage_begins_with_the_first_bad_answer_and_ends_with_the_first_good_one_of_the_other() -> None:
    probes = [good(90, "node1"), good(100, "node1"), bad(110), good(120, "node1"), bad(130), good(140, "node2")]
    assert outage_ms(probes, 95 * MS, "node2") == 31.0
    assert outage_ms(probes, 95 * MS, "node1") == 11.0


def test_what_failed_before_the_failure_does_not_count() -> None:
    assert outage_ms([bad(10), good(20, "node1"), bad(110), good(120, "node2")], 100 * MS, "node2") == 11.0


@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: each.title)
def test_a_check_that_waits_may_take_one_time_limit_longer(failure) -> None:
    assert limit_ms(failure) == (FALL * INTERVAL_S + TIMEOUT_S * failure.waits) * 1000 + 600


def test_the_most_moves_of_any_ten_minutes_are_counted() -> None:
    assert most_within([0.0, 100.0, 599.0, 650.0, 1300.0], 600.0) == 3
    assert most_within([], 600.0) == 0
