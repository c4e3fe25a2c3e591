"""Short ways to write what a plan is made of: files, units, addresses, template sets, goals."""

from __future__ import annotations

from hashlib import sha256
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from relocd.model.entries import EntryUUID
from relocd.model.host import Interface, NewFile
from relocd.model.settings import GuardSettings
from relocd.model.template_set import FileSpec, Role, Scope, TemplateSet, UnitAction, UnitSpec
from relocd.reconcile.desired import DesiredUnit, Placed
from relocd.reconcile.goals import Goal, goal_id
from relocd.reconcile.guards import guards
from relocd.reconcile.template_context import TemplateContext, TemplateServer, TemplateService

__all__ = ["ETH0", "GUARDS", "context", "goal", "interface", "new_file", "placed", "template_set", "unit"]

GUARDS = guards(GuardSettings(networks=("192.0.2.0/24", "2001:db8::/32"), units=("web*", "db*"), folders=("/etc/app",)))


def interface(
    name: str = "eth0", *, up: bool = True, addresses: tuple[str, ...] = ("192.0.2.1/24", "2001:db8::1/64")
) -> Interface:
    """An interface with its own addresses."""
    return Interface(2, name, b"\x02\0\0\0\0\1", up, tuple(map(ip_interface, addresses)))


ETH0 = interface()


def placed(address: str = "192.0.2.10/24", on: str = "eth0") -> Placed:
    """An address on an interface."""
    return Placed(on, ip_interface(address))


def new_file(target: str, text: str = "", **more: Any) -> NewFile:
    """A file with its digest."""
    content = text.encode()
    return NewFile(target, content, sha256(content).hexdigest(), **more)


def unit(
    name: str,
    enter: UnitAction = UnitAction.START,
    change: UnitAction = UnitAction.RELOAD,
    removed: UnitAction = UnitAction.STOP,
    early: bool = False,
) -> DesiredUnit:
    """A unit that is started, reloaded when files change, and stopped in the end."""
    return DesiredUnit(name, enter, change, removed, early)


def template_set(name: str = "web", *, files: tuple[FileSpec, ...] | None = None, **more: Any) -> TemplateSet:
    """A set with one file, `/etc/app/{name}.conf`, and one unit, `web`, unless it says otherwise."""
    if files is None:
        files = (FileSpec("conf.j2", "/etc/app/{name}.conf"),)
    more = {"units": (UnitSpec("web", change=UnitAction.RELOAD),), "scope": Scope.SERVICE} | more
    return TemplateSet(name, Path("/sets") / name, f"digest of {name}", files=files, **more)


def context(name: str | int, role: str, **more: Any) -> TemplateContext:
    """What the templates of a service's goal see; `parameters` are the service's."""
    parameters = more.pop("parameters", {})
    me = TemplateServer("me", "cn=me", EntryUUID("me"), fenced=False, attributes={})
    service = TemplateService(
        str(name), f"cn={name}", EntryUUID(str(name)), (), None, True, parameters, {}, Role(role), {}
    )
    return TemplateContext(**{"server": me, "role": Role(role), "service": service, "services": (service,)} | more)


def goal(name: str = "web", role: Role = Role.ACTIVE, *addresses: str, **more: Any) -> Goal:
    """A goal of a service with the set `web`, exclusive where it has addresses."""
    fields: dict[str, Any] = {
        "reason": "linked directly",
        "sets": ("web",),
        "context": context(name, str(role)),
        "probe": bool(addresses),
    }
    return Goal(
        goal_id(EntryUUID(f"uuid of {name}")),
        name,
        role,
        addresses=tuple(map(ip_interface, addresses)),
        **fields | more,
    )
