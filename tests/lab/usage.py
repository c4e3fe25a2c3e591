"""What a process and its children take: memory and processor time, from /proc."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "family_rss_mb", "settled", "usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """At one moment: the process's own resident memory now and at its peak, and what it and its descendants take.

    Of the memory of the family, pages that several share are counted once (PSS), so that the sum is what they cost.
    """

    rss_mb: float
    peak_mb: float
    family_mb: float
    cpu_ms: float


def usage(pid: int) -> Usage:
    """What a process and its descendants take now."""
    family = list(_family(pid))
    own = _kilobytes(pid, "status")
    return Usage(
        rss_mb=own["VmRSS"] / 1000,
        peak_mb=own["VmHWM"] / 1000,
        family_mb=sum(_kilobytes(each, "smaps_rollup")["Pss"] for each in family) / 1000,
        cpu_ms=sum(_cpu_ms(each) for each in family),
    )


def family_rss_mb(pid: int) -> float:
    """The resident memory of a process and its descendants together; pages that they share count for each of them."""
    return sum(_kilobytes(each, "status")["VmRSS"] for each in _family(pid)) / 1000


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


def _kilobytes(pid: int, table: str) -> dict[str, float]:
    """The amounts of memory in one of a process's tables; the kernel's kB are KiB (proc(5)), these are of 1000."""
    rows = (line.split() for line in Path(f"/proc/{pid}/{table}").read_text().splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1.024 for row in rows if row[-1] == "kB"}


def _cpu_ms(pid: int) -> float:
    """Time on a processor of all threads: schedstat counts nanoseconds where stat counts hundredths of a second."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e6
