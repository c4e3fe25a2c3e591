"""What the command line does once on the agent's side: one cycle, or a check of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from relocd.agent.configuration import read_settings
from relocd.agent.once import Cycle, apply_once, plan_once
from relocd.errors import Fatal, Invalid
from relocd.wiring import connected, sole_actor, template_sets

__all__ = ["Finding", "apply_now", "checked", "plan_now"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `problem` is empty when it is well."""

    subject: str
    detail: str = ""
    problem: str = ""


async def plan_now(config: Path, timeout_s: float) -> Cycle:
    """What one cycle would do."""
    settings = read_settings(config)
    async with connected(settings) as parts:
        return await plan_once(settings, parts.host, parts.directory, timeout_s)


async def apply_now(config: Path, timeout_s: float) -> Cycle:
    """Carry out one cycle; raises `Fatal` while an agent runs on this server."""
    settings = read_settings(config)
    with sole_actor(settings):
        async with connected(settings) as parts:
            return await apply_once(settings, parts.host, parts.directory, timeout_s)


def checked(config: Path) -> tuple[Finding, ...]:
    """The configuration and every template set that it can find, each well or with its problem."""
    try:
        settings = read_settings(config)
    except Fatal as error:
        return (Finding(str(config), problem=str(error)),)
    findings = [Finding(str(config), "valid")]
    sets = template_sets(settings)
    for name in sets.names():
        try:
            found = sets.get(name)
            findings.append(Finding(f"template set {name}", f"{len(found.files)} files, {len(found.units)} units"))
        except Invalid as error:
            findings.append(Finding(f"template set {name}", problem=str(error)))
    return tuple(findings)
