"""What was seen of this host, as values. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from relocd.doctor.finding import Finding
from relocd.model.entries import Service
from relocd.model.host import Interface
from relocd.model.settings import Settings

__all__ = ["CAPABILITIES", "Equipment", "HostFacts", "Manager", "Network"]

CAPABILITIES: Final[Mapping[str, int]] = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_SYS_NICE": 23,
}
"""What the agent's unit gives it (capabilities(7)), by the number of the bit."""


@dataclass(frozen=True, slots=True)
class Manager:
    """Who manages an interface: `networkd` with its file and the `KeepConfiguration=` in force, or `NetworkManager`."""

    name: str
    file: str = ""
    keeps: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """What may take addresses away: managers by interface, and the names of interfaces where IPv6 is off.

    `dhcpcd` is whether one runs in this network namespace.
    """

    managers: Mapping[str, Manager]
    dhcpcd: bool
    without_ipv6: frozenset[str]


@dataclass(frozen=True, slots=True)
class Equipment:
    """What only the agent's libraries can tell: the template sets, the interfaces, and why systemd does not answer."""

    findings: tuple[Finding, ...]
    interfaces: tuple[Interface, ...]
    systemd: str


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Everything seen: `settings` and `equipment` are None where the agent's side is not installed or not configured.

    `process` is whose capabilities `capabilities` are, empty where nobody's can be judged. `status` is what the agent
    has left, None without one; `runs` whether it is current. `unit` is the unit's file as it is and as it would be
    written now, None where there is none. `services` are those that this server is linked to, None when no directory
    has told. `folders` are those of the guards that are missing.
    """

    version: str
    settings: Settings | None
    status: Mapping[str, Any] | None
    runs: bool
    process: str
    capabilities: frozenset[str]
    unit: tuple[str, str] | None
    booted: bool
    network: Network
    equipment: Equipment | None
    services: tuple[Service, ...] | None
    folders: tuple[Path, ...] = ()
