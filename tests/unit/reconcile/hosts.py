"""A host of values for the plans: what is here, and what each action makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from relocd.model.host import FileState, NewFile, UnitState
from relocd.model.template_set import UnitAction
from relocd.reconcile.desired import Desired, Footprint, Observed, Placed
from relocd.reconcile.diff import (
    Action,
    AddAddress,
    DropAddress,
    InstallFiles,
    RemoveFile,
    UseUnit,
    actions,
    after,
    before,
    leaving,
)

__all__ = ["Host", "converged", "departed", "state_of"]


@dataclass(frozen=True)
class Host:
    """Files, addresses, units; `loaded` is what each unit was last started or reloaded with."""

    files: Mapping[str, FileState] = field(default_factory=dict)
    addresses: frozenset[Placed] = frozenset()
    units: Mapping[str, UnitState] = field(default_factory=dict)
    loaded: Mapping[str, Mapping[str, FileState]] = field(default_factory=dict)

    def observed(self) -> Observed:
        return Observed(dict(self.files), self.addresses, dict(self.units))

    def after(self, action: Action) -> Host:
        match action:
            case InstallFiles(files):
                return replace(self, files={**self.files, **{file.target: state_of(file) for file in files}})
            case RemoveFile(target):
                return replace(self, files={key: state for key, state in self.files.items() if key != target})
            case AddAddress(placed):
                return replace(self, addresses=self.addresses | {placed})
            case DropAddress(placed):
                return replace(self, addresses=self.addresses - {placed})
            case UseUnit(name, word):
                return self._with_unit(name, word)
            case _:
                return self

    def after_all(self, found: Iterable[Action]) -> Host:
        host = self
        for action in found:
            host = host.after(action)
        return host

    def _with_unit(self, name: str, word: UnitAction) -> Host:
        state = UnitState.INACTIVE if word is UnitAction.STOP else UnitState.ACTIVE
        return replace(self, units={**self.units, name: state}, loaded={**self.loaded, name: dict(self.files)})


def state_of(file: NewFile) -> FileState:
    return FileState(file.digest, file.owner, file.group, file.mode)


def converged(
    host: Host, wanted: Desired, footprint: Footprint, *, cut_after: int | None = None
) -> tuple[Host, Footprint, tuple[Action, ...]]:
    """Carry out the plan, or only its first actions as in a crash: the host, the ledger, and what was planned."""
    plan = actions(wanted, host.observed(), footprint)
    targets = () if wanted.files is None else (file.target for file in wanted.files)
    intent = before(wanted, targets, footprint) if plan else footprint
    if cut_after is not None and cut_after < len(plan):
        return host.after_all(plan[:cut_after]), intent, plan
    return host.after_all(plan), after(wanted, intent), plan


def departed(host: Host, footprint: Footprint, *, cut_after: int | None = None) -> tuple[Host, tuple[Action, ...]]:
    """Carry out the leaving, or only its first actions."""
    plan = leaving(host.observed(), footprint)
    return host.after_all(plan[:cut_after]), plan
