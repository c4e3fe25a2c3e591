"""The agent's configuration file: TOML to `Settings`, the range of each value, and the conditions between them.

Pure but for reading the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from ipaddress import ip_address
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from relocd.config.health_limits import wrong_limits
from relocd.config.toml_lines import KeyPath
from relocd.config.toml_values import TomlText
from relocd.errors import Fatal, Invalid
from relocd.model.dn import DN
from relocd.model.settings import LONGEST_S, DirectorySettings, GuardSettings, NotifySettings, ServerCheck, Settings
from relocd.model.uri import DirectoryUri
from relocd.reconcile.guards import guards
from relocd.reconcile.health import server_limits

__all__ = ["Problems", "read_settings"]

Problems = Iterable[tuple[KeyPath, str]]
"""Problems, each with the path of its key."""

_PATHS: Final = frozenset({"state", "run", "password_file", "ca_file", "cert_file", "key_file"})
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "probes": (0, 100),
    "probe_interval_ms": (1, 10_000),
    "announce_burst": (0, 100),
    "realtime_priority": (0, 99),
    "max_health_moves": (0, 100),
    "spare_mib": (0, 65_536),
    "lease_s": (2, LONGEST_S),  # kernels count lifetimes in whole seconds
    "_s": (0.001, LONGEST_S),
    "_ms": (0, 60_000),
}
_NEVER: Final = frozenset({"announce_refresh_s"})
"""Where 0 means never."""


def read_settings(path: Path, look: Callable[[Settings], Problems] | None = None) -> Settings:
    """The settings in a file; raises `Fatal` naming file, line and key for anything that is wrong.

    `look` checks what the settings name on this server, such as files.
    """
    try:
        text = TomlText(str(path), path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Fatal(f"{path}: cannot be read ({error.strerror}); name another with --config") from error
    except ValueError as error:
        raise Fatal(f"{path}: is not UTF-8 text") from error
    try:
        settings = text.decoded(Settings)
        for place, problem in chain(_problems(settings), look(settings) if look else ()):
            raise text.error(place, problem)
    except Invalid as error:
        raise Fatal(str(error)) from error
    return _as_sent(settings)


def _as_sent(settings: Settings) -> Settings:
    """The settings with all DNs in the form that is sent to a directory: no optional spaces, no quotes."""
    directory = settings.directory
    base, bind_dn = DN.parse(directory.base).written, DN.parse(directory.bind_dn).written
    return replace(
        settings,
        server=replace(settings.server, dn=DN.parse(settings.server.dn).written),
        directory=replace(directory, base=base, bind_dn=bind_dn),
    )


def _problems(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    yield from _out_of_range(settings)
    yield from _unparsed(settings)
    if not DN.parse(settings.server.dn).is_within(DN.parse(settings.directory.base)):
        yield ("server", "dn"), "is not below [directory] base; the agent would never see its own entry"
    for key, problem in _directory_problems(settings.directory):
        yield ("directory", key), problem
    for number, check in enumerate(settings.health):
        for key, problem in _health_problems(check):
            yield ("health", number, key), problem
    if settings.metrics.listen and not _is_endpoint(settings.metrics.listen):
        yield ("metrics", "listen"), 'must be HOST:PORT, as in "127.0.0.1:9815" or "[::1]:9815"'
    for key, problem in _notify_problems(settings.notify):
        yield ("notify", key), problem


def _notify_problems(notify: NotifySettings) -> Iterator[tuple[str, str]]:
    if notify.command and not PurePosixPath(notify.command[0]).is_absolute():
        yield "command", f"begins with {notify.command[0][:40]!r}; write the program with its absolute path"
    if notify.webhook and not _is_web_address(notify.webhook):
        yield "webhook", 'must be a URL, as in "https://alerts.example.org/relocd"'


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and _is_one_word(text)
    except ValueError:
        return False


def _is_one_word(text: str) -> bool:
    """Whether it can stand in the first line of a request: printable ASCII without spaces."""
    return text.isascii() and text.isprintable() and " " not in text


def _unparsed(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Values that are no DN, network or folder; everything later may rely on these."""
    asked = settings.guards
    parsing: dict[KeyPath, Callable[[], object]] = {
        ("server", "dn"): lambda: DN.parse(settings.server.dn),
        ("directory", "base"): lambda: DN.parse(settings.directory.base),
        ("directory", "bind_dn"): lambda: DN.parse(settings.directory.bind_dn),
        ("guards", "networks"): lambda: guards(GuardSettings(networks=asked.networks)),
        ("guards", "folders"): lambda: guards(GuardSettings(folders=asked.folders)),
    }
    for place, parse in parsing.items():
        try:
            parse()
        except Invalid as error:
            yield place, f"cannot be used: {error}"


def _directory_problems(directory: DirectorySettings) -> Iterator[tuple[str, str]]:
    if not directory.uris:
        yield "uris", 'is empty; write at least one, as in ["ldap://ldap1.example.org"]'
    for uri in directory.uris:
        try:
            DirectoryUri.parse(uri)
        except Invalid as error:
            yield "uris", f"cannot be used: {error}"
    if directory.bind == "simple" and not (directory.bind_dn and directory.password_file):
        yield "bind", 'is "simple", which needs bind_dn and password_file'
    if bool(directory.cert_file) != bool(directory.key_file):
        yield "cert_file", "and key_file belong together; give both or neither"


def _health_problems(check: ServerCheck) -> Iterator[tuple[str, str]]:
    given = [key for key in ("interface", "ping", "command") if getattr(check, key)]
    if len(given) != 1:
        said = f"is given beside {given[0]}" if given else "is not given, nor ping or command"
        yield (given[1] if given else "interface"), f"{said}; write one of the three, and another [[health]] for more"
    for text in (check.interface, *check.command):
        if "\0" in text:
            yield given[0], "has a NUL; remove it"
    if check.command and not check.command[0]:
        yield "command", "names no program; write a list of arguments with the program first"
    if check.ping:
        try:
            ip_address(check.ping)
        except ValueError:
            yield "ping", f"is {check.ping[:40]!r}; write an IP address, such as the gateway's"
    yield from wrong_limits(server_limits(check))


def _is_endpoint(text: str) -> bool:
    host, _, port = text.rpartition(":")
    labels = all(0 < len(label) < 64 for label in host.split("."))
    is_port = port.isascii() and port.isdecimal() and len(port) < 6 and int(port) < 2**16
    return labels and (":" not in host or host[0] + host[-1] == "[]") and is_port


def _out_of_range(settings: Settings) -> Iterator[tuple[KeyPath, str]]:
    """Each value that is out of its range, no absolute path or no usable text, by the path of its key, and why."""
    for place, value in _values(replace(settings, health=()), ()):
        if isinstance(value, str):
            yield from ((place, why) for why in _wrong_text(place, value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from ((place, why) for why in _wrong_number(str(place[-1]), value))
    for name, unit in settings.units.script.items():
        for key in ("start", "stop"):
            if not getattr(unit, key) or not getattr(unit, key)[0]:
                yield ("units", "script", name, key), "names no program; write a list of arguments, the program first"


def _values(value: object, place: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    """Every single value with the path of its key."""
    if is_dataclass(value):
        for each in fields(value):
            yield from _values(getattr(value, each.name), (*place, each.name))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield place, name
            yield from _values(item, (*place, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _values(item, place)
    else:
        yield place, value


def _wrong_text(place: KeyPath, text: str) -> Iterator[str]:
    if "\0" in text:
        yield f"has {text[:40]!r}, and no name may have a NUL; remove it"
    is_path = place[0] in {"directory", "notify", "paths"} and place[-1] in _PATHS | {"template_sets"}
    if is_path and text and not PurePosixPath(text).is_absolute():
        yield f"has {text[:40]!r}; write an absolute path: the agent runs in another folder"


def _wrong_number(key: str, number: float) -> Iterator[str]:
    low, high = _RANGES.get(key) or _RANGES["_" + key.rpartition("_")[2]]
    if not (low <= number <= high or (number == 0 and key in _NEVER)):  # NaN is in no range
        never = ", or 0 for never" if key in _NEVER else ""
        yield f"is {_shown(number)}; write a number from {low:g} to {high:g}{never}"


def _shown(number: float) -> str:
    try:
        return f"{number:g}"
    except OverflowError:  # a whole number beyond all that a float can be
        return "far too large"
