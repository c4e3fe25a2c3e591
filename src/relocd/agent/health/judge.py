"""What the results of health checks mean: when a check fails, and what is done about it. Pure; times are monotonic.

`judged` follows one check: failures in a row make it fail, successes in a row make it well again. `next_remedy` decides
for one service: restart it here, count it as failed here, or as healthy again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from relocd.model.health import HealthLimits

__all__ = ["Treatment", "CheckState", "Judgement", "Remedy", "judged", "next_remedy"]

RESTART_WINDOW_S: Final = 600.0
"""How long a restart counts."""
FIRST_PAUSE_S: Final = 60.0
"""A service that failed here and is still served here is restarted again after this time, which then doubles."""


class CheckState(StrEnum):
    """What a check says: nothing yet, that the service is well, or that it is not."""

    STARTING = "starting"
    OK = "ok"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One check: its state and since when; `contrary` results in a row spoke against it; the last failure.

    While it is starting, failures before `counts_from` do not count.
    """

    state: CheckState
    since: float
    counts_from: float
    contrary: int = 0
    failure: str = ""

    @classmethod
    def starting(cls, now: float, grace_s: float, failure: str = "") -> Judgement:
        """Nothing is known yet, and failures count after `grace_s`."""
        return cls(CheckState.STARTING, now, now + grace_s, failure=failure)


def judged(before: Judgement, failure: str, limits: HealthLimits, now: float) -> Judgement:
    """The judgement after one more result; `failure` is empty for a success."""
    against = CheckState.FAILING if failure else CheckState.OK
    known = replace(before, failure=failure or before.failure)
    if before.state is against:
        return replace(known, contrary=0)
    if before.state is CheckState.STARTING and not failure:
        return replace(known, state=CheckState.OK, since=now, contrary=0)
    if before.state is CheckState.STARTING and now < before.counts_from:
        return replace(known, contrary=0)
    # In the state STARTING, only failures come here.
    contrary = before.contrary + 1
    if contrary < (limits.fall if failure else limits.rise):
        return replace(known, contrary=contrary)
    return replace(known, state=against, since=now, contrary=0)


class Remedy(StrEnum):
    """What is done about the health of a service."""

    NONE = "none"
    RESTART = "restart"
    FAIL = "fail"
    RECOVER = "recover"


@dataclass(frozen=True, slots=True)
class Treatment:
    """What was done for the health of a service here: when it was restarted, and whether it counts as failed.

    A failed one is restarted again from `again_at` on, and then after `pause_s`.
    """

    restarted_at: tuple[float, ...] = ()
    failed: bool = False
    again_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S


def next_remedy(
    before: Treatment, failing: Sequence[HealthLimits], *, all_well: bool, now: float
) -> tuple[Remedy, Treatment]:
    """What to do, and the treatment after that; `failing` are the limits of the checks that fail.

    The check that allows the fewest restarts decides: where one allows none, a restart would not help.
    """
    if all_well and before.failed:
        return Remedy.RECOVER, replace(before, failed=False, pause_s=FIRST_PAUSE_S)
    if not failing:
        return Remedy.NONE, before
    allowed = min(limits.restarts for limits in failing)
    recent = tuple(at for at in before.restarted_at if now - at < RESTART_WINDOW_S)
    if not before.failed and len(recent) < allowed:
        return Remedy.RESTART, replace(before, restarted_at=(*recent, now))
    if not before.failed:
        return Remedy.FAIL, replace(before, restarted_at=recent, failed=True, again_at=now + before.pause_s)
    if allowed and now >= before.again_at:
        pause_s = min(2 * before.pause_s, RESTART_WINDOW_S)
        return Remedy.RESTART, replace(before, again_at=now + pause_s, pause_s=pause_s)
    return Remedy.NONE, before
