"""What heartbeats show of a clock that stamps them: an age that is certain is never above the real one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.agent.liveness.provider_clock import ProviderClock

LEASE_S = 10.0
NOON = 1_800_000_000.0

heartbeats = st.tuples(
    st.floats(0.1, 5),  # after the last one was sent
    st.floats(0, 2),  # until it is stamped
    st.floats(0, 2),  # until it is back
    st.floats(-7200, 7200),  # by how much the clock is set before the next one
    st.floats(0, 1),  # when, as a part of the time until then
)


def read(*sent_at: float, set_s: float = 0.0) -> ProviderClock:
    """Heartbeats that come back at once; the clock is set before the last one."""
    clock = ProviderClock(LEASE_S)
    for at in sent_at:
        clock.note(at, at, NOON + at + (set_s if at == sent_at[-1] else 0.0))
    return clock


@given(st.lists(heartbeats, min_size=1, max_size=12), st.floats(0, 1), st.floats(0, 20))
def test_no_age_is_certain_that_is_above_the_real_one(found, part, later_s):
    """The clock is set once at most between two heartbeats; the stamp is made before the last one is sent."""
    clock, at, ahead_s, settings = ProviderClock(LEASE_S), 100.0, NOON, [(0.0, NOON)]
    for pause_s, out_s, back_s, set_s, when in found:
        sent_at, stamped_at = at + pause_s, at + pause_s + out_s
        clock.note(sent_at, stamped_at + back_s, stamped_at + ahead_s)
        ahead_s += set_s
        at = stamped_at + back_s
        settings.append((at + when * 0.1, ahead_s))
    made_at = 90 + part * (sent_at - 90)
    stamp_s = made_at + next(ahead for since, ahead in reversed(settings) if since <= made_at)
    assert clock.least_age_s(stamp_s, made_at, at + later_s) <= at + later_s - made_at + 1e-5


@pytest.mark.parametrize(
    ("clock", "stamp_s", "read_at", "certain"),
    [
        pytest.param(ProviderClock(LEASE_S), 2, 12.0, 0.0, id="nothing is certain without a heartbeat"),
        pytest.param(read(0, 5, 10, 15), 2, 15.0, 0.0, id="nor without one that was sent after the stamp was read"),
        pytest.param(read(0, 5, 10, 15), 2, 14.0, 18.0, id="as old as it seems"),
        pytest.param(read(13, 15), 2, 14.0, 7.0, id="no older than the first heartbeat"),
        pytest.param(read(0, 5, 10, 15, set_s=60), 2, 14.0, 18.0, id="the clock was set forward: as old as before"),
        pytest.param(read(0, 5, 10, 15, set_s=60), 12, 14.0, 8.0, id="it is as old as by the clock before it was set"),
        pytest.param(read(0, 5, 10, 15, set_s=-6), 2, 14.0, 18.0, id="it was set back, and cannot have made it then"),
        pytest.param(read(0, 5, 10, 15, set_s=-6), 5, 14.0, 9.0, id="it was set back, and may have made it after that"),
    ],
)
def test_a_stamp_is_certain_to_be_so_old(clock, stamp_s, read_at, certain):
    """At 20 s; stamps are of the clock that shows noon at 0 s, as it is first."""
    assert clock.least_age_s(NOON + stamp_s, read_at, 20) == pytest.approx(certain)


def test_a_new_series_knows_nothing_of_what_was_before():
    clock = read(0, 5, 10, 15)
    clock.begin()
    assert clock.now_s(15) is None
    clock.note(16, 16, NOON + 16)
    assert clock.least_age_s(NOON, 15.5, 17) == pytest.approx(1.0)


def test_readings_are_kept_for_longer_than_a_lease_and_not_for_ever():
    clock = read(*range(1000))
    assert 4 * LEASE_S <= clock.least_age_s(NOON, 998.0, 999) < 5 * LEASE_S
