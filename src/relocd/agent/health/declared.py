"""The checks that the template sets of a goal declare, with their texts rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relocd.agent.convergence.host import Host
from relocd.errors import Invalid
from relocd.model.health import Check, CheckKind, HealthLimits
from relocd.ports.host import Rendered
from relocd.reconcile.goals import Goal
from relocd.reconcile.health import PlannedCheck, check_of, planned_checks

__all__ = ["DeclaredChecks", "can_be_made", "declared_checks"]


@dataclass(frozen=True, slots=True)
class DeclaredChecks:
    """The checks; the limits for the units, if a set gives some; and why other checks cannot be made."""

    checks: tuple[Check, ...]
    units: HealthLimits | None
    problems: tuple[str, ...]


async def declared_checks(host: Host, goal: Goal) -> DeclaredChecks:
    """The declared checks of a goal; raises an error when they cannot be known now."""
    sets = [host.sets.get(name) for name in goal.sets]
    units = [spec.limits for each in sets for spec in each.health if spec.kind is CheckKind.UNITS]
    service = goal.context.service
    planned = list(planned_checks(sets, service.addresses if service else ()))
    texts = [text for each in planned for text in each.texts]
    rendered = iter(await host.renderer.render(texts, goal.context) if texts else ())
    found = [_checked(host, each, [next(rendered) for _ in each.texts]) for each in planned]
    return DeclaredChecks(
        checks=tuple(dict.fromkeys(each for each in found if isinstance(each, Check))),
        units=units[0] if units else None,
        problems=tuple(dict.fromkeys(str(each) for each in found if isinstance(each, Invalid))),
    )


def _checked(host: Host, planned: PlannedCheck, rendered: Sequence[Rendered | Invalid]) -> Check | Invalid | None:
    """The check, None where the texts ask for none, or what is wrong with them."""
    texts = []
    for each in rendered:
        if isinstance(each, Invalid):
            return each
        if each.secret:
            return Invalid(f"{planned.where} uses a secret, which others on this server could read; remove it")
        texts.append(each.text)
    try:
        check = check_of(planned, texts)
    except Invalid as error:
        return error
    if check is not None and not can_be_made(host, check):
        return Invalid(f"{planned.where} runs {check.arguments[0]}, which is not here; install it")
    return check


def can_be_made(host: Host, check: Check) -> bool:
    """Whether a check can be made at all: a program that is not here says nothing about a service."""
    return check.kind is not CheckKind.COMMAND or host.commands.finds(check.arguments[0])
