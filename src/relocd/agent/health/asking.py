"""Makes one check once, within its time limit, and says why it fails; or again and again, beside everything else."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from relocd.agent.convergence.host import Host
from relocd.errors import Failed, RelocdError
from relocd.model.health import Check, CheckKind
from relocd.model.masking import told

__all__ = ["failure_of", "repeat"]

_LONGEST: Final = 300
_REAPING_S: Final = 2.0
_DUE_SOON_S: Final = 0.1


async def failure_of(host: Host, check: Check, secrets: Sequence[str]) -> str:
    """Make a check once: why it fails, empty when all is well. A check that takes too long has failed."""
    limit_s = check.limits.timeout_s
    try:
        # A program has the time limit of its runner, which also kills it.
        async with asyncio.timeout(limit_s + (_REAPING_S if check.kind is CheckKind.COMMAND else 0)):
            await _make(host, check)
    except TimeoutError:
        return f"{check.name}: no answer within {limit_s:g} s"
    except RelocdError as error:
        return told(error, secrets)[:_LONGEST]
    return ""


async def repeat(
    host: Host, check: Check, secrets: Sequence[str], is_due: Callable[[], bool], take: Callable[[Check, str], None]
) -> None:
    """Make a check for ever, each time once it `is_due`, and pass on each result.

    The first one comes at a random moment of the interval, so that the checks of many services are spread.
    """
    interval_s = check.limits.interval_s
    next_at = time.monotonic() + random.uniform(0.0, interval_s)  # noqa: S311 - nothing to guess
    while True:
        await asyncio.sleep(max(0.0, next_at - time.monotonic()))
        due = is_due()  # where not, it is put off: the moments of a check and those of a worker may keep meeting
        next_at = time.monotonic() + (interval_s if due else min(interval_s, _DUE_SOON_S))
        if due:
            take(check, await failure_of(host, check, secrets))


async def _make(host: Host, check: Check) -> None:
    match check.kind:
        case CheckKind.COMMAND:
            await host.commands.run(check.arguments, check.limits.timeout_s)
        case CheckKind.CARRIER:
            _need_carrier(host, check)
        case CheckKind.PING if check.endpoint is not None:
            await host.wire.reach(check.endpoint.ip)
        case _:
            await host.probes.probe(check)


def _need_carrier(host: Host, check: Check) -> None:
    if not any(each.is_called(check.interface) and each.up for each in host.addresses.interfaces()):
        raise Failed(f"{check.name}: the interface is down or has no carrier; check its cable")
