"""The story of a service that is sick on a living server: six failures, and how long a client has no good answer.

keepalived, and relocd without and with a restart on the spot, on the same machines, one after the other. From outside,
a client asks for the page a hundred times a second. The outage is from its first bad answer to its first good one of
the other server, or, where a restart has cured the service, of the same one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Final, Self

from tests.lab.deadline import until
from tests.lab.probers.judgement import Probe
from tests.lab.scenarios.sick_hosts import FAILURES, Failure, SickHosts
from tests.lab.scenarios.sick_rivals import FALL, INTERVAL_S, TIMEOUT_S, KeepalivedRival, RelocdRival, Rival
from tests.lab.timeline import Timeline

__all__ = ["SickStory", "limit_ms", "outage_ms"]

_PATIENCE_S: Final = 45.0
_SLACK_MS: Final = 100.0
_SERVICE_MS: Final = 500.0
"""In which nginx itself stops on one server and starts on the other, on a busy machine."""
_RELOCD: Final = "relocd, no restart"
_RESTARTS: Final = "relocd, one restart"
_KEEPALIVED: Final = "keepalived"
_RIVALS: Final[Mapping[str, Callable[[SickHosts], AbstractContextManager[Rival]]]] = {
    _KEEPALIVED: KeepalivedRival,
    _RELOCD: lambda hosts: RelocdRival(hosts, restarts=0),
    _RESTARTS: lambda hosts: RelocdRival(hosts, restarts=1),
}


@dataclass(frozen=True, slots=True)
class Outage:
    """What a client saw of one failure; `both` are answers of the old server after the first one of the new."""

    lasted_ms: float
    both: int


class SickStory:
    """The hosts and the plot, as a context manager; each failure happens `repeats` times to each rival."""

    title: Final = "A service that is sick on a living server"

    def __init__(self, repeats: int = 1) -> None:
        self._repeats = repeats
        self._outages: dict[tuple[str, str], list[float]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._hosts = self._stack.enter_context(SickHosts())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def play(self, timeline: Timeline) -> None:
        """Each failure with each rival, then what is to be shown of them."""
        timeline.mark(f"every {INTERVAL_S:g} s a check, at most {TIMEOUT_S:g} s long; {FALL} failures in a row count")
        for name, rival in _RIVALS.items():
            with rival(self._hosts) as chosen:
                until(chosen.is_ready, _PATIENCE_S)
                for failure in FAILURES:
                    if name != _RESTARTS or failure.restarts:
                        self._fail(timeline, name, chosen, failure)
        for failure in FAILURES:
            self._claim(timeline, failure)

    def _fail(self, timeline: Timeline, name: str, rival: Rival, failure: Failure) -> None:
        stays = name == _RESTARTS and failure.cured
        for _ in range(self._repeats):
            try:
                outage = self._outage(rival, failure, stays=stays)
            except (AssertionError, TimeoutError) as error:
                raise TimeoutError(f"{name}: {failure.title}: {error}\n{rival.log_text()}") from error
            self._outages.setdefault((name, failure.title), []).append(outage.lasted_ms)
            timeline.figure(f"{failure.title}: {name}", outage.lasted_ms)
            if outage.both:
                timeline.claim(
                    f"{failure.title}: {name}: one server answers", holds=False, found=f"{outage.both} answers"
                )

    def _outage(self, rival: Rival, failure: Failure, *, stays: bool) -> Outage:
        """Let it fail on node1 until the client has a good answer again, and have it back there."""
        with self._hosts.watch() as watch:
            until(lambda: watch.until("node1", 0.1), _PATIENCE_S)
            before = self._hosts.nginx("node1")
            began_ns = time.monotonic_ns()
            with failure.happens(self._hosts, "node1"):
                if stays:
                    until(lambda: self._hosts.nginx("node1") not in ([], before) and rival.is_ready(), _PATIENCE_S)
                    rival.come_back()
                elif watch.until("node2", _PATIENCE_S) is None:
                    raise TimeoutError("node2 has not answered")
        if stays:
            return Outage(outage_ms(watch.probes, began_ns, "node1"), both=0)
        rival.come_back()
        return Outage(outage_ms(watch.probes, began_ns, "node2"), _both(watch.probes))

    def _claim(self, timeline: Timeline, failure: Failure) -> None:
        """Judge the worst of relocd without a restart by the numbers of the check, and by keepalived."""
        relocd, other = (max(self._outages[name, failure.title]) for name in (_RELOCD, _KEEPALIVED))
        most = limit_ms(failure)
        found = f"{relocd:.0f} ms; keepalived {other:.0f} ms"
        timeline.claim(f"{failure.title}: at most {most:.0f} ms", relocd <= most, found)


def limit_ms(failure: Failure) -> float:
    """What the numbers of a check allow; where each question waits as long as it may, the last one does so, too."""
    return (FALL * INTERVAL_S + TIMEOUT_S * failure.waits) * 1000 + _SLACK_MS + _SERVICE_MS


def outage_ms(probes: Sequence[Probe], since_ns: int, host: str) -> float:
    """From the first question since then that got no good answer to the first good answer of a host after it."""
    bad_ns = min(each.sent_ns for each in probes if each.sent_ns >= since_ns and each.host is None)
    good_ns = (each.answered_ns or 0 for each in probes if each.host == host and each.sent_ns > bad_ns)
    return (min(good_ns) - bad_ns) / 1e6


def _both(probes: Sequence[Probe]) -> int:
    """How many questions the old server answered that were asked after the first answer of the new one."""
    first_ns = min((each.answered_ns or 0 for each in probes if each.host == "node2"), default=None)
    return 0 if first_ns is None else sum(each.host == "node1" and each.sent_ns > first_ns for each in probes)
