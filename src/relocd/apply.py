"""What the command line does once on the agent's side: one cycle, or a check of the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from relocd.agent.once import Cycle, apply_once, plan_once
from relocd.config.configuration import read_settings
from relocd.doctor.finding import DoctorKind, error, ok
from relocd.doctor.host.facts import Equipment
from relocd.errors import Invalid, RelocdError
from relocd.model.health import CheckKind
from relocd.model.settings import Settings
from relocd.model.template_set import TemplateSet, UnitAction
from relocd.model.uri import PLAIN_TEXT, PROTECT, in_plain_text
from relocd.reconcile.guards import Guards, guards
from relocd.reconcile.spec import PLACEHOLDER
from relocd.wiring import (
    FolderTemplateSets,
    check_templates,
    connected,
    has_program,
    interfaces,
    owner_ids,
    service_manager_problem,
    sole_actor,
    template_sets,
    unusable_files,
)

__all__ = ["CheckResult", "apply_now", "checked", "equipment", "plan_now"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was looked at; `problem` and `warning` are empty when it is well."""

    subject: str
    detail: str = ""
    problem: str = ""
    warning: str = ""


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


def checked(config: Path) -> tuple[CheckResult, ...]:
    """The configuration and every template set that it can find, each well or with its problem.

    Raises `Fatal` for a configuration that cannot be used.
    """
    settings = read_settings(config)
    sets, allowed = template_sets(settings), guards(settings.guards)
    findings = [CheckResult(str(config), "valid"), *(_checked_set(sets, name, allowed) for name in sets.names())]
    findings += [*_shared(sets), *_checked_files(settings)]
    if settings.directory.bind == "simple":
        findings += _exposed(settings)
    return tuple(findings)


async def equipment(config: Path, settings: Settings) -> Equipment:
    """What the agent's libraries tell of this host; nothing on it is changed."""
    findings = [each for each in checked(config) if not each.warning]  # the directory's own check has those
    wrong = [
        error("check", DoctorKind.CHECK_FAILED, f"{each.subject}: {each.problem}", "correct it", names=(each.subject,))
        for each in findings
        if each.problem
    ]
    well = [] if wrong else [ok("check", f"configuration and {len(findings) - 1} further things are valid")]
    try:
        there = await interfaces(settings)
    except RelocdError as problem:
        there = ()
        wrong.append(error("interfaces", DoctorKind.INTERFACES_UNREADABLE, str(problem), "run this as root"))
    return Equipment((*wrong, *well), there, await service_manager_problem(settings), _missing_programs(settings))


def _missing_programs(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The programs of health checks that are not on this host, by template set; of relocd.toml: by an empty name.

    Where a set has its program from a parameter, only the agent knows which it is.
    """
    named = {"": [each.command[0] for each in settings.health if each.command]}
    sets = template_sets(settings)
    for name in sets.names():
        with suppress(RelocdError):
            checks = [each for each in sets.get(name).health if each.kind is CheckKind.COMMAND]
            named[name] = [each.texts[0] for each in checks if "{" not in each.texts[0]]
    missing = {
        name: tuple(dict.fromkeys(each for each in some if not has_program(each))) for name, some in named.items()
    }
    return {name: some for name, some in missing.items() if some}


def _checked_set(sets: FolderTemplateSets, name: str, allowed: Guards) -> CheckResult:
    subject = f"template set {name}"
    try:
        found = sets.get(name)
        check_templates(found)
        for file in found.files:
            owner_ids(file.owner, file.group, file.target)
    except RelocdError as error:
        return CheckResult(subject, problem=str(error).removeprefix(f"{subject}: "))
    beyond = ", ".join(_beyond(found, allowed))
    guarded = f"; not allowed by [guards]: {beyond}" if beyond else ""
    return CheckResult(subject, f"{len(found.files)} files, {len(found.units)} units{guarded}")


def _shared(sets: FolderTemplateSets) -> Iterator[CheckResult]:
    """Files and units that two sets have by the same name: only one service here can use such a set."""
    users: dict[str, list[str]] = {}
    for name in sets.names():
        with suppress(RelocdError):
            found = sets.get(name)
            own = (unit.name for unit in found.units if UnitAction.STOP in {unit.standby, unit.removed})
            for what in {*(file.target for file in found.files), *own}:
                users.setdefault(what, []).append(name)
    for what, names in sorted(users.items()):
        if len(names) > 1 and PLACEHOLDER not in what:
            yield CheckResult(
                what, warning=f"belongs to the template sets {' and '.join(names)}; only one of them can be used"
            )


def _beyond(found: TemplateSet, allowed: Guards) -> Iterator[str]:
    """What a set would touch and must not: no problem while no service here uses it."""
    asked = [(allowed.check_target, file.target) for file in found.files]
    for check, name in [*asked, *((allowed.check_unit, unit.name) for unit in found.units)]:
        try:
            check(name)
        except Invalid:
            yield name


def _checked_files(settings: Settings) -> Iterator[CheckResult]:
    """What a connection to the directory needs; the agent goes on trying, and takes no new configuration without."""
    problems = dict(unusable_files(settings))
    yield from (CheckResult(f"[{table}] {key}", problem=problem) for (table, key), problem in problems.items())
    if settings.directory.bind == "simple" and ("directory", "password_file") not in problems:
        yield CheckResult("[directory] password_file", "can be read")


def _exposed(settings: Settings) -> Iterator[CheckResult]:
    for uri in in_plain_text(settings.directory.uris, password=True, starttls=settings.directory.starttls):
        yield CheckResult(uri, warning=f"{PLAIN_TEXT}; {PROTECT}")
