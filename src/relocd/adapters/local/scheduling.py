"""Real-time scheduling (sched(7)) for the threads that a failover waits for, as in corosync and keepalived.

A server that takes over is often a busy one. The policy is round robin at a low priority. It is not inherited: the
programs that the agent starts, such as the rendering process, run with normal priority.
"""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor

__all__ = ["make_loop_urgent", "make_thread_urgent"]

_log = logging.getLogger(__name__)
_THREADS = 8


def make_loop_urgent(priority: int) -> None:
    """Schedule the running event loop and the threads of its executor in real time; 0 changes nothing."""
    if not priority:
        return
    if not make_thread_urgent(priority):
        fields = {"remedy": "CAP_SYS_NICE, or [agent] realtime_priority = 0"}
        _log.info("the kernel does not allow real-time scheduling", extra={"fields": fields})
        return
    executor = ThreadPoolExecutor(_THREADS, "agent", initializer=make_thread_urgent, initargs=(priority,))
    asyncio.get_running_loop().set_default_executor(executor)


def make_thread_urgent(priority: int) -> bool:
    """Schedule the calling thread in real time, 1 to 99; return whether the kernel allowed it."""
    if not priority:
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError:
        return False
    return True
