"""Carries out a plan: action by action, each with an outcome. What does not depend on a failed action is still done."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from relocd.agent.convergence.host import Host
from relocd.agent.convergence.permit import Reach, ServePermit
from relocd.errors import Busy, Failed, RelocdError
from relocd.model.entries import ServiceAddress
from relocd.model.host import Interface, Probe, UnitState
from relocd.model.masking import told
from relocd.model.template_set import UnitAction
from relocd.reconcile.desired import Placed
from relocd.reconcile.diff import (
    Action,
    AddAddress,
    Announce,
    DropAddress,
    InstallFiles,
    KeepFile,
    ProbeAddresses,
    RemoveFile,
    RunCommand,
    UseUnit,
)

__all__ = [
    "ExecContext",
    "ActionOutcome",
    "announce",
    "execute",
    "find_conflict",
    "done_of",
    "drop_addresses",
    "is_broken",
    "probe",
    "problems_of",
]

_log = logging.getLogger(__name__)
_STEPS: Final[Mapping[type, str]] = {
    InstallFiles: "files",
    KeepFile: "files",
    RemoveFile: "files",
    ProbeAddresses: "probe",
    AddAddress: "raise",
    DropAddress: "drop",
    UseUnit: "unit",
    RunCommand: "command",
    Announce: "announce",
}
"""What the actions are called in the metrics."""


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """What became of one action: `problem` is None when it succeeded; skipped actions have no outcome.

    `busy` says that it only waits for another host to release something.
    """

    action: Action
    took_ms: float
    problem: str | None = None
    busy: bool = False


@dataclass(frozen=True, slots=True)
class ExecContext:
    """For which service and why a plan is carried out, and under what conditions.

    `entering`: the service enters a role that it did not have. `revoked` is set once it should not be served any more.
    `permit` is the permission to raise addresses. `secrets` are not shown in any outcome, since what a program prints
    may contain them; None means that they are not known, and no outcome shows what a program printed. With
    `before_drop` the service is being released: the first failure ends that, and an address is dropped only when it has
    returned. A unit may have taken long to stop, so that the directory has to answer once more.
    """

    service: str
    reason: str
    entering: bool = False
    revoked: asyncio.Event = field(default_factory=asyncio.Event)
    permit: ServePermit = field(default_factory=ServePermit)
    secrets: tuple[str, ...] | None = field(default=(), repr=False)
    before_drop: Reach | None = None


async def execute(host: Host, actions: Sequence[Action], context: ExecContext) -> list[ActionOutcome]:
    """Carry out a plan's actions in order, each logged with the reason for the plan; returns their outcomes.

    A unit that hangs while it starts delays nothing: once serving is revoked, it is not waited for any longer.
    """
    outcomes: list[ActionOutcome] = []
    for action in actions:
        if _is_blocked(action, outcomes, context):
            fields = {"service": context.service, "action": str(action)}
            _log.debug("action skipped", extra={"fields": fields})
            continue
        outcome = await _outcome(host, action, context)
        outcomes.append(outcome)
        _report(outcome, context)
        host.meter.acted(_STEPS[type(action)], outcome.took_ms / 1000, _word(outcome))
    return outcomes


def problems_of(outcomes: Iterable[ActionOutcome]) -> tuple[str, ...]:
    """What failed, in words."""
    return tuple(outcome.problem for outcome in outcomes if outcome.problem)


def is_broken(outcomes: Iterable[ActionOutcome]) -> bool:
    """Whether a unit or an address failed: with old files, without a command or a reload a service goes on."""
    failed = (outcome.action for outcome in outcomes if outcome.problem)
    return any(
        isinstance(action, AddAddress | DropAddress)
        or (isinstance(action, UseUnit) and action.action is not UnitAction.RELOAD)
        for action in failed
    )


def done_of(outcomes: Iterable[ActionOutcome]) -> tuple[Action, ...]:
    """The actions that succeeded."""
    return tuple(outcome.action for outcome in outcomes if not outcome.problem)


def _is_blocked(action: Action, outcomes: Sequence[ActionOutcome], context: ExecContext) -> bool:
    """Whether an earlier failure prevents an action.

    Nothing is raised or started with files that did not pass their checks, while another host has an address, or
    without a valid permit. No unit and no address follows a unit that did not start: they are ordered because they
    depend on each other. Stopping and dropping are prevented only where the service goes on here instead. What was not
    raised is not announced.
    """
    failed = [outcome.action for outcome in outcomes if outcome.problem]
    if _releases(action):
        return bool(failed) and context.before_drop is not None
    if isinstance(action, Announce):
        return bool(failed) and not _has_raised(outcomes)
    files_failed = any(isinstance(each, InstallFiles | KeepFile | RemoveFile) for each in failed)
    if files_failed and (context.entering or _refreshes(action) or isinstance(action, InstallFiles)):
        return True
    if any(isinstance(each, ProbeAddresses) for each in failed) or any(outcome.busy for outcome in outcomes):
        return True
    dependent = isinstance(action, UseUnit | RunCommand | AddAddress)
    return dependent and any(isinstance(each, UseUnit | RunCommand) and not _releases(each) for each in failed)


def _has_raised(outcomes: Iterable[ActionOutcome]) -> bool:
    return any(isinstance(outcome.action, AddAddress) and not outcome.problem for outcome in outcomes)


def _releases(action: Action) -> bool:
    return isinstance(action, DropAddress | RemoveFile) or (
        isinstance(action, UseUnit) and action.action is UnitAction.STOP
    )


def _refreshes(action: Action) -> bool:
    return isinstance(action, RunCommand) or (isinstance(action, UseUnit) and action.action is not UnitAction.START)


async def _outcome(host: Host, action: Action, context: ExecContext) -> ActionOutcome:
    started = time.monotonic()
    problem, busy = None, False
    try:
        if isinstance(action, UseUnit | RunCommand) and not _releases(action):
            await _unless(context.revoked, _carry_out(host, action, context.permit))
        else:
            if isinstance(action, DropAddress) and context.before_drop is not None:
                await context.before_drop()
            await _carry_out(host, action, context.permit)
    except RelocdError as error:
        problem, busy = told(error, context.secrets), isinstance(error, Busy)
    except Exception as error:  # noqa: BLE001 - a defect met by one action must not lose what the others have done
        _log.exception("this is a defect of relocd", extra={"fields": {"action": str(action)}})
        problem = f"a defect of relocd, see its log: {type(error).__name__}"
    return ActionOutcome(action, (time.monotonic() - started) * 1000, problem, busy)


async def _unless(revoked: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do the work, but give it up when serving is revoked; raises `Failed` then."""
    working, waiting = asyncio.create_task(work), asyncio.create_task(revoked.wait())
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Failed("given up, because the service is to leave")
        await working
    finally:
        working.cancel()
        waiting.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


async def _carry_out(host: Host, action: Action, permit: ServePermit) -> None:
    match action:
        case InstallFiles(files):
            await host.files.install(files)
        case KeepFile(target):
            await host.files.keep(target)
        case RemoveFile(target):
            await host.files.remove(target)
        case ProbeAddresses(addresses):
            await probe(host, addresses)
        case AddAddress(placed):
            await _raise(host, placed, permit)
        case DropAddress(placed):
            await host.addresses.drop(placed.interface, placed.address)
        case UseUnit(name, word):
            await _use_unit(host, name, word)
        case RunCommand(command):
            await host.commands.run(command.run, command.timeout_s)
        case Announce(addresses):
            await announce(host, addresses)


async def _raise(host: Host, placed: Placed, permit: ServePermit) -> None:
    """Raise an address while the permit is valid; a process that hung since then comes too late."""
    if time.monotonic() > permit.until:
        raise Busy(f"{placed}: the permit to raise it has expired; asking again")
    await host.addresses.add(placed.interface, placed.address, permit.lifetime_s)


async def _use_unit(host: Host, name: str, word: UnitAction) -> None:
    match word:
        case UnitAction.START:
            await host.units.start(name)
        case UnitAction.STOP:
            await _stop(host, name)
        case UnitAction.RELOAD:
            await host.units.reload(name)
        case UnitAction.RESTART:
            await host.units.restart(name)
        case UnitAction.NONE:
            pass


async def _stop(host: Host, name: str) -> None:
    """Stop a unit; one that stopped with an error counts as stopped, when its manager says that it does not run."""
    try:
        await host.units.stop(name)
    except Failed as error:
        if not await _has_stopped(host, name):
            raise
        _log.warning("unit stopped badly", extra={"fields": {"unit": name, "problem": told(error, None)}})


async def _has_stopped(host: Host, name: str) -> bool:
    try:
        return await host.units.state(name) in {UnitState.INACTIVE, UnitState.FAILED}
    except RelocdError:
        return False


async def probe(host: Host, addresses: Iterable[Placed]) -> None:
    """Probe for addresses (ARP, ND); raises `Busy` when another host has one."""
    groups = _by_interface(host, addresses)
    who = _answers(await asyncio.gather(*(host.wire.probe(interface, group) for interface, group in groups)))
    if who:
        raise Busy(f"{who}; waiting until it is silent")


async def find_conflict(host: Host, addresses: Iterable[Placed]) -> str:
    """Probe for addresses that are raised here; the other hosts that have one as well, in words, empty for none.

    An answer on one interface counts even where another interface cannot be probed; without any answer that is raised.
    """
    groups = _by_interface(host, addresses)
    asking = (host.wire.contested(interface, group) for interface, group in groups)
    asked = await asyncio.gather(*asking, return_exceptions=True)
    who = _answers([found for found in asked if not isinstance(found, BaseException)])
    failures = [found for found in asked if isinstance(found, BaseException)]
    if failures and not who:
        raise failures[0]
    return who


async def drop_addresses(host: Host, service: str, addresses: Iterable[Placed], reason: str) -> None:
    """Drop addresses at once, and leave everything else of the service to its next convergence."""
    await execute(host, [DropAddress(placed) for placed in addresses], ExecContext(service, reason))


def _answers(found: Iterable[Sequence[Probe]]) -> str:
    answered = [probe for probes in found for probe in probes if probe.answered_by]
    return ", ".join(f"{probe.address.ip} is answered by {probe.answered_by}" for probe in answered)


async def announce(host: Host, addresses: Iterable[Placed]) -> None:
    """Announce once (gratuitous ARP, unsolicited NA) those of the addresses that are really here."""
    wanted = tuple(addresses)
    held = host.addresses.copies(placed.address for placed in wanted)
    here = {Placed(each.interface, each.address) for each in held if each.ours}
    groups = _by_interface(host, (placed for placed in wanted if placed in here))
    await asyncio.gather(*(host.wire.announce(interface, group) for interface, group in groups))


def _by_interface(host: Host, addresses: Iterable[Placed]) -> list[tuple[Interface, list[ServiceAddress]]]:
    """The addresses of each interface; raises `Failed` for one that is not there any more."""
    groups: dict[str, list[ServiceAddress]] = {}
    for placed in addresses:
        groups.setdefault(placed.interface, []).append(placed.address)
    interfaces = {interface.name: interface for interface in host.addresses.interfaces()}
    gone = ", ".join(groups.keys() - interfaces.keys())
    if gone:
        raise Failed(f"there is no interface {gone} here any more; bring it back, or correct relocInterface")
    return [(interfaces[name], group) for name, group in groups.items()]


def _word(outcome: ActionOutcome) -> str:
    return "done" if outcome.problem is None else "waits" if outcome.busy else "failed"


def _report(outcome: ActionOutcome, context: ExecContext) -> None:
    fields = {
        "service": context.service,
        "action": str(outcome.action),
        "took_ms": round(outcome.took_ms, 2),
        "reason": context.reason,
    }
    if outcome.problem is None:
        _log.info("action done", extra={"fields": fields})
    elif outcome.busy:
        _log.debug("action waits", extra={"fields": fields | {"problem": outcome.problem}})
    else:
        _log.warning("action failed", extra={"fields": fields | {"problem": outcome.problem}})
