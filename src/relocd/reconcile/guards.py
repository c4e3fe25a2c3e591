"""What the local configuration allows, whatever the directory or a template set asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import PurePosixPath

from relocd.errors import Invalid
from relocd.model.entries import ServiceAddress
from relocd.model.host import Interface
from relocd.model.settings import GuardSettings

__all__ = ["Guards", "guards"]


@dataclass(frozen=True, slots=True)
class Guards:
    """Allowed networks, unit patterns and folders; each check raises `Invalid` and names the key to widen."""

    networks: tuple[IPv4Network | IPv6Network, ...]
    units: tuple[str, ...]
    folders: tuple[PurePosixPath, ...]

    def check_address(self, address: ServiceAddress) -> None:
        """An address must lie in an allowed network; `check_route` checks its prefix length."""
        if not any(address.ip in network for network in self.networks):
            raise Invalid(
                f"address {address} is in none of the allowed networks ({_listed(self.networks)}); "
                "[guards] networks of this server's configuration would have to allow it"
            )

    def check_route(self, address: ServiceAddress, interface: Interface) -> None:
        """The kernel routes the network of an address to its interface: it must be allowed, or the interface's own."""
        network = address.network
        allowed = any(network[0] in each and network[-1] in each for each in self.networks)
        if not allowed and network not in {own.network for own in interface.addresses}:
            raise Invalid(
                f"address {address} would take the route to all of {network}, beyond the allowed networks "
                f"({_listed(self.networks)}); write it with the prefix length of {interface.name}'s network"
            )

    def check_unit(self, name: str) -> None:
        """A unit's name must match an allowed pattern."""
        if not any(fnmatchcase(name, pattern) for pattern in self.units):
            raise Invalid(
                f"unit {name} matches none of the allowed patterns ({_listed(self.units)}); "
                "[guards] units of this server's configuration would have to allow it"
            )

    def check_target(self, target: str) -> None:
        """A file's target must lie below an allowed folder, without `..`; links are followed by the adapter."""
        path = PurePosixPath(target)
        if ".." in path.parts or not any(path.is_relative_to(folder) and path != folder for folder in self.folders):
            raise Invalid(
                f"target {target} is below none of the allowed folders ({_listed(self.folders)}); "
                "[guards] folders of this server's configuration would have to allow it"
            )


def guards(settings: GuardSettings) -> Guards:
    """The guards that a configuration gives; raises `Invalid` for a value that is no network or no folder."""
    try:
        networks = tuple(ip_network(text) for text in settings.networks)
    except ValueError as error:
        raise Invalid(f"{error}; write a network, for example 192.0.2.0/24") from error
    folders = tuple(PurePosixPath(text) for text in settings.folders)
    for folder in folders:
        if not folder.is_absolute() or ".." in folder.parts:
            raise Invalid(f"{folder} is not an absolute path without '..'")
    return Guards(networks, settings.units, folders)


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values) or "none"
