"""Reading the facts about this host from files only, without any library: /proc, /sys and /run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from contextlib import suppress
from pathlib import Path
from typing import Final

from relocd import __version__
from relocd.doctor.host.facts import CAPABILITIES, Equipment, HostFacts, Manager, Network
from relocd.errors import Failed
from relocd.install.service_unit import unit_target
from relocd.model.entries import Service
from relocd.model.settings import LOCK_NAME, STATUS_NAME, PathSettings, Settings
from relocd.operator.status.status_file import agent_runs, read_status

__all__ = ["host_facts", "networks"]

_LINKS: Final = Path("/run/systemd/netif/links")
_NM_DEVICES: Final = Path("/run/NetworkManager/devices")
_DROP_INS: Final = ("/usr/lib", "/usr/local/lib", "/run", "/etc")


def host_facts(
    settings: Settings | None, equipment: Equipment | None, services: tuple[Service, ...] | None
) -> HostFacts:
    """The facts about the host now; raises `Invalid` when the agent's status is damaged."""
    run = Path((settings.paths if settings is not None else PathSettings()).run)
    status = read_status(run / STATUS_NAME)
    runs = status is not None and agent_runs(run / STATUS_NAME)
    process, capabilities = _capabilities(run, runs=runs)
    return HostFacts(
        version=__version__,
        settings=settings,
        status=status,
        runs=runs,
        process=process,
        capabilities=capabilities,
        unit=_unit(),
        booted=Path("/run/systemd/system").is_dir(),  # sd_booted(3)
        network=networks(),
        equipment=equipment,
        services=services,
        folders=tuple(Path(each) for each in settings.guards.folders if not Path(each).is_dir()) if settings else (),
    )


def _capabilities(run: Path, *, runs: bool) -> tuple[str, frozenset[str]]:
    """The process whose capabilities are judged, and those of its capabilities that matter."""
    with suppress(OSError, ValueError):
        if runs:
            pid = int((run / LOCK_NAME).read_text().strip())
            return f"the agent (process {pid})", _effective(Path(f"/proc/{pid}/status"))
    if os.geteuid() == 0:
        return "this process, as which an agent would run", _effective(Path("/proc/self/status"))
    return "", frozenset()


def _effective(status: Path) -> frozenset[str]:
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    mask = int(fields["CapEff"], 16)
    return frozenset(name for name, bit in CAPABILITIES.items() if mask >> bit & 1)


def _unit() -> tuple[str, str] | None:
    with suppress(OSError, Failed):
        wanted = unit_target(Path("/"))
        return wanted.path.read_text(), wanted.content
    return None


def networks() -> Network:
    """Who manages which interface of this network namespace."""
    names = {_text(each / "ifindex"): each.name for each in Path("/sys/class/net").glob("*")}
    managers = dict(_networkd(names)) | dict(_network_manager(names))
    off = Path("/proc/sys/net/ipv6/conf").glob("*/disable_ipv6")
    return Network(managers, _runs_here("dhcpcd"), frozenset(each.parent.name for each in off if _text(each) == "1"))


def _networkd(names: Mapping[str, str]) -> Iterator[tuple[str, Manager]]:
    """By the state files of networkd, which only its own tools are meant to read: D-Bus need not be here."""
    for link in _LINKS.glob("*"):
        state = dict(line.split("=", 1) for line in _text(link).splitlines() if "=" in line)
        file = state.get("NETWORK_FILE", "")
        if link.name in names and file and state.get("ADMIN_STATE") != "unmanaged":
            yield names[link.name], Manager("systemd-networkd", file, _keeps(Path(file)))


def _keeps(file: Path) -> str:
    """The `KeepConfiguration=` in force: of the file, or of the last of its drop-ins (systemd.network(5))."""
    found = [each for top in _DROP_INS for each in Path(top, "systemd/network", f"{file.name}.d").glob("*.conf")]
    later = {each.name: each for each in found}  # /etc overrides /run overrides /usr
    kept = ""
    for each in (file, *(later[name] for name in sorted(later))):
        kept = _ini(each).get("Network", {}).get("keepconfiguration", kept)
    return kept


def _network_manager(names: Mapping[str, str]) -> Iterator[tuple[str, Manager]]:
    """By the state files of NetworkManager's devices."""
    if _runs_here("NetworkManager"):
        for device in _NM_DEVICES.glob("*"):
            managed = _ini(device).get("device", {}).get("managed", "")
            if device.name in names and managed == "true":
                yield names[device.name], Manager("NetworkManager")


def _ini(file: Path) -> Mapping[str, Mapping[str, str]]:
    parser = ConfigParser(strict=False, interpolation=None, delimiters=("=",), default_section="")
    with suppress(ConfigError):
        parser.read_string(_text(file))
    return {name: dict(parser[name]) for name in parser.sections()}


def _runs_here(name: str) -> bool:
    """Whether a process of that name is in this network namespace."""
    mine = Path("/proc/self/ns/net").stat().st_ino
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if _text(process / "comm") == name and (process / "ns/net").stat().st_ino == mine:
                return True
    return False


def _text(file: Path) -> str:
    """The content of a file, empty when it cannot be read."""
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
