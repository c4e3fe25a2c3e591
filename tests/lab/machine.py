"""What the machine is that figures come from."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence

__all__ = ["machine"]


def machine(before: Sequence[float]) -> Mapping[str, object]:
    """Facts that belong to every figure; `before` is the load average when measuring began."""
    return {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "processors": len(os.sched_getaffinity(0)),
        "load before": before,
        "load after": os.getloadavg(),
    }
