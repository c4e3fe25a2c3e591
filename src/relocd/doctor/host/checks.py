"""The checks of this host: facts in, findings out. Pure; `CHECKS` is the whole list.

Not among them: `rp_filter`, `arp_ignore`, `arp_announce`. A service address is in the network of its interface, so the
way back is the way in, and whichever interface answers for it belongs to the same host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from relocd.doctor.finding import Finding, error, not_checked, ok, warning
from relocd.doctor.host.facts import CAPABILITIES, HostFacts
from relocd.doctor.host.network import addresses, network
from relocd.model.status import Mode

__all__ = ["CHECKS", "host_findings"]

_NEEDED: Final = {
    "CAP_NET_ADMIN": "raise addresses",
    "CAP_NET_RAW": "probe and announce addresses (ARP, ND)",
}
_FILES: Final = "it may be unable to write files with the owner and mode of a template set"
_LESSER: Final = {
    "CAP_SYS_NICE": "its threads have no real-time priority, so that a busy machine may delay heartbeats and handovers",
}


def host_findings(facts: HostFacts) -> Iterator[Finding]:
    """All findings about this host."""
    for check in CHECKS:
        yield from check(facts)


def agent(facts: HostFacts) -> Iterator[Finding]:
    """The agent runs, in the installed version and in mode normal, and reports no problem."""
    if facts.status is None or not facts.runs:
        if facts.settings is not None:
            advice = "start it: systemctl start relocd, or relocd agent"
            yield warning("agent", "no agent runs here", advice)
        return
    findings = list(_agent(facts))
    yield from findings
    if not findings:
        yield ok("agent", f"version {facts.version}, {facts.status['directory']['state']}, no problem")


def _agent(facts: HostFacts) -> Iterator[Finding]:
    status = facts.status or {}
    if status["version"] != facts.version:
        what = f"version {status['version']} runs, {facts.version} is installed"
        yield warning("agent", what, "restart it; addresses and services stay as they are")
    if status["mode"] != Mode.NORMAL:
        yield warning("agent", f"is {status['mode']}", "relocd resume ends that")
    problems = len(status["problems"]) + sum(len(each["problems"]) for each in status["services"])
    if problems:
        yield warning("agent", f"reports {problems} problems", "relocd show names them")


def unit(facts: HostFacts) -> Iterator[Finding]:
    """The unit of systemd is the one that this version would install."""
    if facts.unit is not None:
        there, wanted = facts.unit
        if there == wanted:
            yield ok("unit", "as this version installs it")
        else:
            yield warning(
                "unit", "is of another version, or was edited", "relocd install systemd, daemon-reload, restart"
            )


def capabilities(facts: HostFacts) -> Iterator[Finding]:
    """The capabilities of the agent's process."""
    if not facts.process:
        why = "no agent runs here, and this process is not root"
        yield not_checked("capabilities", why, "run this as root")
        return
    missing = [name for name in CAPABILITIES if name not in facts.capabilities]
    for name in missing:
        if name in _NEEDED:
            what = f"{facts.process} lacks {name}: it cannot {_NEEDED[name]}"
            yield error("capabilities", what, "run the agent by its unit (relocd install systemd) or as root")
    lesser: dict[str, list[str]] = {}
    for name in missing:
        if name not in _NEEDED:
            lesser.setdefault(_LESSER.get(name, _FILES), []).append(name)
    for why, names in lesser.items():
        what = f"{facts.process} lacks {', '.join(names)}: {why}"
        yield warning("capabilities", what, "compare the unit with that of relocd install systemd")
    if not missing:
        yield ok("capabilities", f"{facts.process} has all {len(CAPABILITIES)}")


def systemd(facts: HostFacts) -> Iterator[Finding]:
    """The service manager of the configuration exists and answers."""
    if facts.settings is None or facts.equipment is None or facts.settings.units.manager != "systemd":
        return
    advice = 'on a host without systemd set manager = "script" under [units]'
    if not facts.booted:
        yield error("systemd", "systemd does not run this host", advice)
    elif facts.equipment.systemd:
        yield error("systemd", facts.equipment.systemd, "start the system D-Bus")
    else:
        yield ok("systemd", "answers on D-Bus")


def equipment(facts: HostFacts) -> Iterator[Finding]:
    """Template sets and password as in `relocd check`, and the folders of the guards."""
    if facts.equipment is None:
        return
    yield from facts.equipment.findings
    for folder in facts.folders:
        yield warning("guards", f"the folder {folder} is missing", f"mkdir -p {folder}, or correct [guards] folders")


CHECKS: Final[Sequence[Callable[[HostFacts], Iterator[Finding]]]] = (
    agent,
    unit,
    capabilities,
    systemd,
    equipment,
    addresses,
    network,
)
"""All checks of this host, in order."""
