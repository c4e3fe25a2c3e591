"""The facts about this host, as values. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
"""The capabilities of the agent's unit (capabilities(7)), by bit number."""


@dataclass(frozen=True, slots=True)
class Manager:
    """The manager of an interface: NetworkManager, or networkd with its file and the `KeepConfiguration=` in force."""

    name: str
    file: str = ""
    keeps: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """What may remove addresses: managers by interface; and the interfaces where IPv6 is off.

    `dhcpcd` is whether one runs in this network namespace.
    """

    managers: Mapping[str, Manager]
    dhcpcd: bool
    without_ipv6: frozenset[str]


@dataclass(frozen=True, slots=True)
class Equipment:
    """The facts that need the agent's libraries: template sets, interfaces, and why systemd does not answer.

    `missing` are the programs of health checks that cannot be started here, by template set; those of `relocd.toml` are
    under an empty name.
    """

    findings: tuple[Finding, ...]
    interfaces: tuple[Interface, ...]
    systemd: str
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """All facts: `settings` and `equipment` are None where the agent's side is not installed or not configured.

    `process` is the process with these `capabilities`, empty where none can be judged. `status` is what the agent
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
