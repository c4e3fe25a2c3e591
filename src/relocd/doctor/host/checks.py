"""The checks of this host: facts in, findings out. Pure; `CHECKS` is the whole list.

Not among them: `rp_filter`, `arp_ignore`, `arp_announce`. A service address is in the network of its interface, so the
way back is the way in, and whichever interface answers for it belongs to the same host.

Of networkd only `KeepConfiguration=` counts: `ManageForeignRoutes=` and `ManageForeignRoutingPolicyRules=` are about
routes and rules, of which relocd sets none; the route of an address is the kernel's, which networkd leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from typing import Final

from relocd.doctor.finding import DoctorKind, Finding, error, not_checked, ok, raised, warning
from relocd.doctor.host.facts import CAPABILITIES, HostFacts, Manager
from relocd.errors import Invalid
from relocd.model.entries import Isolation, Service, ServiceAddress
from relocd.model.host import Interface
from relocd.model.settings import ServerCheck
from relocd.model.status import Mode
from relocd.reconcile.addresses import interface_for
from relocd.reconcile.guards import Guards, guards

__all__ = ["CHECKS", "host_findings"]

# systemd.network(5): `static` keeps addresses without a lifetime; those of relocIsolation: release have one.
_KEEPS_ALL: Final = frozenset({"yes", "true", "1", "on"})
_KEEPS: Final = _KEEPS_ALL | {"static"}
_NEEDED: Final = {
    "CAP_NET_ADMIN": "raise addresses",
    "CAP_NET_RAW": "probe and announce addresses (ARP, ND)",
}
_HEALTH: Final = "health"
_FILES: Final = "it may be unable to write files with the owner and mode of a template set"
_LESSER: Final = {
    "CAP_SYS_NICE": "its threads have no real-time priority, so that a busy machine may delay heartbeats and handovers",
}


def host_findings(facts: HostFacts) -> Iterator[Finding]:
    """All findings about this host."""
    for check in CHECKS:
        yield from check(facts)


def addresses(facts: HostFacts) -> Iterator[Finding]:
    """Each address of a linked service lies in an allowed network and on an interface that is up."""
    if facts.settings is None or facts.equipment is None:
        return
    if facts.services is None:
        why = "the services that this server is linked to are not known from any directory"
        yield not_checked("addresses", DoctorKind.SERVICES_UNKNOWN, why)
        return
    found, allowed = facts.equipment.interfaces, guards(facts.settings.guards)
    wanted = [(service, address) for service in facts.services for address in service.addresses]
    wrong = [each for service, address in wanted for each in _placed(service, address, found, allowed)]
    for service, problem in wrong:
        yield raised("addresses", DoctorKind.ADDRESS_MISPLACED, f"{service}: {problem}", service=service)
    for name in sorted(_interfaces(facts) & facts.network.without_ipv6):
        if any(address.version == 6 for _, address in wanted):
            what = f"IPv6 is off on {name}, and a service has an IPv6 address"
            advice = f"sysctl net.ipv6.conf.{name}.disable_ipv6=0"
            yield error("addresses", DoctorKind.IPV6_OFF, what, advice, names=(name,))
    if not wrong:
        names = tuple(sorted(_interfaces(facts)))
        where = f" on {', '.join(names)}" if names else ""
        yield ok("addresses", f"{len(wanted)} addresses of {len(facts.services)} services{where}", names=names)


def _placed(
    service: Service, address: ServiceAddress, interfaces: Sequence[Interface], allowed: Guards
) -> Iterator[tuple[str, str]]:
    try:
        allowed.check_address(address)
        allowed.check_route(address, interface_for(address, service.interface, interfaces))
    except Invalid as problem:
        yield service.name, str(problem)


def health(facts: HostFacts) -> Iterator[Finding]:
    """The health checks of `relocd.toml` and of the services here can be made, and can succeed."""
    if facts.settings is None or facts.equipment is None or not (facts.settings.health or facts.equipment.missing):
        return
    found = [*_missing_programs(facts), *_without_interface(facts.settings.health, facts.equipment.interfaces)]
    yield from found
    if not found and facts.settings.health:
        yield ok(_HEALTH, f"{len(facts.settings.health)} checks of this server can be made")


def _missing_programs(facts: HostFacts) -> Iterator[Finding]:
    missing = facts.equipment.missing if facts.equipment else {}
    for program in missing.get("", ()):
        what = f"[[health]] of relocd.toml runs {program}, which is not here or cannot be executed: it checks nothing"
        yield error(_HEALTH, DoctorKind.PROGRAM_MISSING, what, "install it, or correct the path", names=(program,))
    for service in facts.services or ():
        for name in service.template_sets:
            for program in missing.get(name, ()):
                what = (
                    f"{service.name}: template set {name} checks it by {program}, which is not here: it is not checked"
                )
                advice, names = "install it, or correct the path in the manifest", (program, name)
                yield error(_HEALTH, DoctorKind.PROGRAM_MISSING, what, advice, service=service.name, names=names)


def _without_interface(checks: Sequence[ServerCheck], interfaces: Sequence[Interface]) -> Iterator[Finding]:
    """The checks that can never succeed, so that this server would give away everything."""
    names = {each.name for each in interfaces}
    networks = [address.network for each in interfaces for address in each.addresses]
    for check in checks:
        if check.interface and check.interface not in names:
            what, advice = f"[[health]] interface = {check.interface}: there is no such interface", "correct its name"
            yield error(_HEALTH, DoctorKind.INTERFACE_MISSING, what, advice, names=(check.interface,))
        if check.ping and not any(ip_address(check.ping) in each for each in networks):
            what = (
                f"[[health]] ping = {check.ping} is in no network of an interface here, so it never answers ARP or ND"
            )
            advice = "name an address that needs no router, such as the gateway's; others by a command, such as ping"
            yield error(_HEALTH, DoctorKind.PING_OFF_LINK, what, advice, names=(check.ping,))


def _interfaces(facts: HostFacts) -> frozenset[str]:
    """The interfaces that addresses of this server's services go on."""
    found = set()
    interfaces = () if facts.equipment is None else facts.equipment.interfaces
    for service in facts.services or ():
        for address in service.addresses:
            try:
                found.add(interface_for(address, service.interface, interfaces).name)
            except Invalid:
                continue
    return frozenset(found)


def network(facts: HostFacts) -> Iterator[Finding]:
    """No network manager removes relocd's addresses from the interfaces in use, or from any where these are unknown."""
    used = _interfaces(facts) or frozenset(facts.network.managers)
    released = any(service.isolation is Isolation.RELEASE for service in facts.services or ())
    managed = {name: each for name, each in facts.network.managers.items() if name in used}
    wrong = [each for name, manager in managed.items() for each in _manager(name, manager, released=released)]
    yield from wrong
    if facts.network.dhcpcd:
        what = "dhcpcd runs here: it may remove addresses of other programs when its lease ends or is refused"
        advice = "denyinterfaces in dhcpcd.conf, or static addresses, for the services' interfaces"
        yield warning("network", DoctorKind.DHCPCD, what, advice)
    if not wrong and not facts.network.dhcpcd:
        how = ", ".join(f"{name}: {each.name}" for name, each in sorted(managed.items())) or "no manager of interfaces"
        yield ok("network", how)


def _manager(name: str, manager: Manager, *, released: bool) -> Iterator[Finding]:
    if manager.name == "NetworkManager":
        what = f"NetworkManager manages {name}: when it activates or reapplies that, it removes others' addresses"
        advice = f"nmcli device set {name} managed no, and unmanaged-devices in its configuration"
        yield warning("network", DoctorKind.NETWORK_MANAGER, what, advice, names=(name,))
    elif manager.keeps.lower() not in (_KEEPS_ALL if released else _KEEPS):
        word = "yes" if released else "static"
        what = f"systemd-networkd removes addresses of other programs from {name} when it starts or reconfigures it"
        advice = f"KeepConfiguration={word} in [Network] of {manager.file}, by a file in {manager.file}.d (/etc)"
        yield warning("network", DoctorKind.NETWORKD, what, advice, names=(name,))


def agent(facts: HostFacts) -> Iterator[Finding]:
    """The agent runs, in the installed version and in mode normal, and reports no problem."""
    if facts.status is None or not facts.runs:
        if facts.settings is not None:
            advice = "start it: systemctl start relocd, or relocd agent"
            yield warning("agent", DoctorKind.NO_AGENT, "no agent runs here", advice)
        return
    findings = list(_agent(facts))
    yield from findings
    if not findings:
        yield ok("agent", f"version {facts.version}, {facts.status['directory']['state']}, no problem")


def _agent(facts: HostFacts) -> Iterator[Finding]:
    status = facts.status or {}
    if status["version"] != facts.version:
        what = f"version {status['version']} runs, {facts.version} is installed"
        advice = "restart it; addresses and services stay as they are"
        yield warning("agent", DoctorKind.OTHER_VERSION, what, advice, names=(status["version"], facts.version))
    if status["mode"] != Mode.NORMAL:
        advice = "relocd resume ends that"
        yield warning("agent", DoctorKind.AGENT_MODE, f"is {status['mode']}", advice, names=(status["mode"],))
    problems = len(status["problems"]) + sum(len(each["problems"]) for each in status["services"])
    if problems:
        yield warning("agent", DoctorKind.AGENT_PROBLEMS, f"reports {problems} problems", "relocd show names them")


def unit(facts: HostFacts) -> Iterator[Finding]:
    """The unit of systemd is the one that this version would install."""
    if facts.unit is not None:
        there, wanted = facts.unit
        if there == wanted:
            yield ok("unit", "as this version installs it")
        else:
            advice = "relocd install systemd, daemon-reload, restart"
            yield warning("unit", DoctorKind.UNIT_DIFFERS, "is of another version, or was edited", advice)


def capabilities(facts: HostFacts) -> Iterator[Finding]:
    """The capabilities of the agent's process."""
    if not facts.process:
        why = "no agent runs here, and this process is not root"
        yield not_checked("capabilities", DoctorKind.NO_PROCESS, why, "run this as root")
        return
    missing = [name for name in CAPABILITIES if name not in facts.capabilities]
    for name in missing:
        if name in _NEEDED:
            what = f"{facts.process} lacks {name}: it cannot {_NEEDED[name]}"
            advice = "run the agent by its unit (relocd install systemd) or as root"
            yield error("capabilities", DoctorKind.CAPABILITY_MISSING, what, advice, names=(name,))
    lesser: dict[str, list[str]] = {}
    for name in missing:
        if name not in _NEEDED:
            lesser.setdefault(_LESSER.get(name, _FILES), []).append(name)
    for why, names in lesser.items():
        what = f"{facts.process} lacks {', '.join(names)}: {why}"
        advice = "compare the unit with that of relocd install systemd"
        yield warning("capabilities", DoctorKind.CAPABILITY_MISSING, what, advice, names=tuple(names))
    if not missing:
        yield ok("capabilities", f"{facts.process} has all {len(CAPABILITIES)}")


def systemd(facts: HostFacts) -> Iterator[Finding]:
    """The service manager of the configuration exists and answers."""
    if facts.settings is None or facts.equipment is None or facts.settings.units.manager != "systemd":
        return
    advice = 'on a host without systemd set manager = "script" under [units]'
    if not facts.booted:
        yield error("systemd", DoctorKind.NO_SYSTEMD, "systemd does not run this host", advice)
    elif facts.equipment.systemd:
        yield error("systemd", DoctorKind.SYSTEMD_SILENT, facts.equipment.systemd, "start the system D-Bus")
    else:
        yield ok("systemd", "answers on D-Bus")


def equipment(facts: HostFacts) -> Iterator[Finding]:
    """Template sets and password as in `relocd check`, and the folders of the guards."""
    if facts.equipment is None:
        return
    yield from facts.equipment.findings
    for folder in facts.folders:
        advice = f"mkdir -p {folder}, or correct [guards] folders"
        what, names = f"the folder {folder} is missing", (str(folder),)
        yield warning("guards", DoctorKind.FOLDER_MISSING, what, advice, names=names)


CHECKS: Final[Sequence[Callable[[HostFacts], Iterator[Finding]]]] = (
    agent,
    unit,
    capabilities,
    systemd,
    equipment,
    addresses,
    health,
    network,
)
"""All checks of this host, in order."""
