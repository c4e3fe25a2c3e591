"""Scheduling for programs that measure: first on the processor, and no garbage collector in between."""

from __future__ import annotations

import gc
import os

__all__ = ["go_first"]


def go_first(priority: int = 1) -> bool:
    """Ask for real-time priority and stop the collector; whether the kernel allowed the priority."""
    gc.disable()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        return False
    return True
