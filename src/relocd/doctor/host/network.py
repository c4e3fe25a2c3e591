"""The checks of service addresses: their networks and interfaces, and what on this host would remove them. Pure.

Of networkd only `KeepConfiguration=` counts: `ManageForeignRoutes=` and `ManageForeignRoutingPolicyRules=` are about
routes and rules, of which relocd sets none; the route of an address is the kernel's, which networkd leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from relocd.doctor.finding import Finding, error, not_checked, ok, warning
from relocd.doctor.host.facts import HostFacts, Manager
from relocd.errors import Invalid
from relocd.model.entries import Isolation, Service, ServiceAddress
from relocd.model.host import Interface
from relocd.reconcile.addresses import interface_for
from relocd.reconcile.guards import Guards, guards

__all__ = ["addresses", "network"]

# systemd.network(5): `static` keeps addresses without a lifetime; those of relocIsolation: release have one.
_KEEPS_ALL: Final = frozenset({"yes", "true", "1", "on"})
_KEEPS: Final = _KEEPS_ALL | {"static"}


def addresses(facts: HostFacts) -> Iterator[Finding]:
    """Each address of a linked service lies in an allowed network and on an interface that is up."""
    if facts.settings is None or facts.equipment is None:
        return
    if facts.services is None:
        yield not_checked("addresses", "the services that this server is linked to are not known from any directory")
        return
    found, allowed = facts.equipment.interfaces, guards(facts.settings.guards)
    wanted = [(service, address) for service in facts.services for address in service.addresses]
    wrong = [each for service, address in wanted for each in _placed(service, address, found, allowed)]
    for service, problem in wrong:
        what, _, advice = problem.rpartition("; ")
        yield error("addresses", f"{service}: {what}", advice)
    for name in sorted(_interfaces(facts) & facts.network.without_ipv6):
        if any(address.version == 6 for _, address in wanted):
            advice = f"sysctl net.ipv6.conf.{name}.disable_ipv6=0"
            yield error("addresses", f"IPv6 is off on {name}, and a service has an IPv6 address", advice)
    if not wrong:
        where = ", ".join(sorted(_interfaces(facts)))
        yield ok(
            "addresses", f"{len(wanted)} addresses of {len(facts.services)} services" + (f" on {where}" * bool(where))
        )


def _placed(
    service: Service, address: ServiceAddress, interfaces: Sequence[Interface], allowed: Guards
) -> Iterator[tuple[str, str]]:
    try:
        allowed.check_address(address)
        allowed.check_route(address, interface_for(address, service.interface, interfaces))
    except Invalid as problem:
        yield service.name, str(problem)


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
        yield warning(
            "network", what, "denyinterfaces in dhcpcd.conf, or static addresses, for the services' interfaces"
        )
    if not wrong and not facts.network.dhcpcd:
        how = ", ".join(f"{name}: {each.name}" for name, each in sorted(managed.items())) or "no manager of interfaces"
        yield ok("network", how)


def _manager(name: str, manager: Manager, *, released: bool) -> Iterator[Finding]:
    if manager.name == "NetworkManager":
        what = f"NetworkManager manages {name}: when it activates or reapplies that, it removes others' addresses"
        yield warning(
            "network", what, f"nmcli device set {name} managed no, and unmanaged-devices in its configuration"
        )
    elif manager.keeps.lower() not in (_KEEPS_ALL if released else _KEEPS):
        word = "yes" if released else "static"
        what = f"systemd-networkd removes addresses of other programs from {name} when it starts or reconfigures it"
        advice = f"KeepConfiguration={word} in [Network] of {manager.file}, by a file in {manager.file}.d (/etc)"
        yield warning("network", what, advice)
