"""The agent's configuration file: TOML to `Settings`, and the conditions between its values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from relocd.config.setting_limits import unusable
from relocd.config.toml_lines import KeyPath
from relocd.config.toml_values import TomlText
from relocd.errors import Fatal, Invalid
from relocd.model.dn import DN
from relocd.model.settings import DirectorySettings, GuardSettings, Settings
from relocd.model.uri import DirectoryUri
from relocd.reconcile.guards import guards

__all__ = ["Problems", "read_settings"]


Problems = Iterable[tuple[KeyPath, str]]
"""Problems, each with the path of its key."""


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
    yield from unusable(settings)
    yield from _unparsed(settings)
    if not DN.parse(settings.server.dn).is_within(DN.parse(settings.directory.base)):
        yield ("server", "dn"), "is not below [directory] base; the agent would never see its own entry"
    for key, problem in _directory_problems(settings.directory):
        yield ("directory", key), problem
    if settings.metrics.listen and not _is_endpoint(settings.metrics.listen):
        yield ("metrics", "listen"), 'must be HOST:PORT, as in "127.0.0.1:9815" or "[::1]:9815"'


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


def _is_endpoint(text: str) -> bool:
    host, _, port = text.rpartition(":")
    labels = all(0 < len(label) < 64 for label in host.split("."))
    is_port = port.isascii() and port.isdecimal() and len(port) < 6 and int(port) < 2**16
    return labels and (":" not in host or host[0] + host[-1] == "[]") and is_port
