"""Real-time scheduling of the agent's own threads, and of nothing that they start."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

from relocd.adapters.local.scheduling import make_loop_urgent, make_thread_urgent

_RESET = os.SCHED_RESET_ON_FORK
_POLICY = "import os; print(os.sched_getscheduler(0))"


def in_thread(work):
    """The result of work in a thread of its own, so that pytest's keeps its scheduling."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def test_an_urgent_thread_is_scheduled_in_real_time_and_its_children_are_not():
    def work():
        assert make_thread_urgent(1)
        child = subprocess.run([sys.executable, "-c", _POLICY], capture_output=True, text=True, check=True)
        return os.sched_getscheduler(0), int(child.stdout)

    own, inherited = in_thread(work)
    assert own == os.SCHED_RR | _RESET
    assert inherited == os.SCHED_OTHER


def test_an_urgent_loop_has_urgent_threads():
    async def policies():
        make_loop_urgent(1)
        return os.sched_getscheduler(0), await asyncio.to_thread(os.sched_getscheduler, 0)

    assert in_thread(lambda: asyncio.run(policies())) == (os.SCHED_RR | _RESET, os.SCHED_RR | _RESET)


def test_priority_0_changes_nothing():
    async def policies():
        make_loop_urgent(0)
        return os.sched_getscheduler(0), await asyncio.to_thread(os.sched_getscheduler, 0)

    assert in_thread(lambda: asyncio.run(policies())) == (os.SCHED_OTHER, os.SCHED_OTHER)
    assert not in_thread(lambda: make_thread_urgent(0))


def test_a_kernel_that_refuses_is_no_error():
    assert not in_thread(lambda: make_thread_urgent(1000))
