"""The agent's configuration file: TOML to `Settings`, and what must hold between its values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

from relocd.errors import Fatal, Invalid
from relocd.model.dn import DN
from relocd.model.settings import LONGEST_LEASE_S, DirectorySettings, GuardSettings, Settings
from relocd.model.uri import DirectoryUri
from relocd.plan.guards import guards
from relocd.toml_values import TomlText

__all__ = ["read_settings"]

_SHORTEST_LEASE_S = 2.0


def read_settings(path: Path) -> Settings:
    """The settings in a file; raises `Fatal` naming file, line and key for anything that is wrong."""
    try:
        text = TomlText(str(path), path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Fatal(f"{path}: cannot be read ({error.strerror}); name another with --config") from error
    except UnicodeDecodeError as error:
        raise Fatal(f"{path}: is not UTF-8 text") from error
    try:
        settings = text.decoded(Settings)
        _check(text, settings)
    except Invalid as error:
        raise Fatal(str(error)) from error
    return _as_sent(settings)


def _as_sent(settings: Settings) -> Settings:
    """The settings with all names as a directory is sent them: no optional spaces, no quotes."""
    directory = settings.directory
    base, bind_dn = DN.parse(directory.base).written, DN.parse(directory.bind_dn).written
    return replace(
        settings,
        server=replace(settings.server, dn=DN.parse(settings.server.dn).written),
        directory=replace(directory, base=base, bind_dn=bind_dn),
    )


def _names(settings: Settings) -> tuple[tuple[tuple[str, str], str], ...]:
    return (
        (("server", "dn"), settings.server.dn),
        (("directory", "base"), settings.directory.base),
        (("directory", "bind_dn"), settings.directory.bind_dn),
    )


def _check(text: TomlText, settings: Settings) -> None:
    for path, name in _names(settings):
        _parsed(text, path, name)
    if not DN.parse(settings.server.dn).is_within(DN.parse(settings.directory.base)):
        raise text.error(("server", "dn"), "is not below [directory] base; the agent would never see its own entry")
    _check_guards(text, settings.guards)
    for key, problem in _directory_problems(settings.directory):
        raise text.error(("directory", key), problem)
    if not 0 <= settings.agent.realtime_priority <= 99:
        raise text.error(("agent", "realtime_priority"), "must be from 1 to 99, or 0 for ordinary scheduling")
    if settings.metrics.listen and not _is_endpoint(settings.metrics.listen):
        raise text.error(("metrics", "listen"), 'must be HOST:PORT, as in "127.0.0.1:9815" or "[::1]:9815"')
    if not _SHORTEST_LEASE_S <= settings.handover.lease_s <= LONGEST_LEASE_S:
        limits = f"{_SHORTEST_LEASE_S:g} or more: kernels count whole seconds; and {LONGEST_LEASE_S:g}, a day, or less"
        raise text.error(("handover", "lease_s"), f"must be {limits}")
    for place, number in _durations(settings):
        if number < 0:
            raise text.error(place, "is negative; write 0 or more")
        if number == 0 and _is_pause_or_limit(place[-1]):
            raise text.error(place, "is 0, which would leave no time at all; write more")


def _check_guards(text: TomlText, asked: GuardSettings) -> None:
    for key, part in (
        ("networks", GuardSettings(networks=asked.networks)),
        ("folders", GuardSettings(folders=asked.folders)),
    ):
        try:
            guards(part)
        except Invalid as error:
            raise text.error(("guards", key), f"cannot be used: {error}") from error


def _parsed(text: TomlText, path: tuple[str, str], value: str) -> None:
    try:
        DN.parse(value)
    except Invalid as error:
        raise text.error(path, f"cannot be used: {error}") from error


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


def _is_endpoint(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and (":" not in host or host[0] + host[-1] == "[]") and port.isdecimal() and int(port) < 2**16


def _is_pause_or_limit(key: str) -> bool:
    return key.startswith("retry_") or key.endswith("timeout_s") or key == "poll_s"


def _durations(settings: Settings) -> Iterator[tuple[tuple[str, ...], float]]:
    for table in ("directory", "wire", "units", "handover", "agent"):
        section = getattr(settings, table)
        for each in fields(section):
            value = getattr(section, each.name)
            if isinstance(value, int | float):
                yield (table, each.name), value
