"""What a process and its children take: memory and processor time, from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "settled", "usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """At one moment: the process's own resident memory, that of all its descendants, and the CPU time of all."""

    own_rss_mb: float
    children_rss_mb: float
    cpu_ms: float

    @property
    def rss_mb(self) -> float:
        """Resident memory of the process and its descendants; pages that they share count for each."""
        return self.own_rss_mb + self.children_rss_mb


def usage(pid: int) -> Usage:
    """What a process and its descendants take now."""
    family = list(_family(pid))
    return Usage(
        own_rss_mb=_rss_mb(pid),
        children_rss_mb=sum(_rss_mb(each) for each in family if each != pid),
        cpu_ms=sum(_cpu_ms(each) for each in family),
    )


def settled(pid: int, quiet_s: float = 0.5, timeout_s: float = 60.0) -> Usage:
    """The usage once the process has done next to nothing for a while."""
    deadline = time.monotonic() + timeout_s
    before = usage(pid)
    while True:
        time.sleep(quiet_s)
        now = usage(pid)
        if now.cpu_ms - before.cpu_ms < quiet_s * 1000 * 0.02:
            return now
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} is still busy after {timeout_s:g} s")
        before = now


def _family(pid: int) -> Iterator[int]:
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _family(int(child))


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu_ms(pid: int) -> float:
    """Time on a processor of all threads: schedstat counts nanoseconds where stat counts hundredths of a second."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e6
