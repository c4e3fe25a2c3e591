"""The record of the addresses relocd has raised, for kernels that cannot mark an address as ours (before 5.18).

It lies in the run folder, a tmpfs: as the addresses themselves it survives a restart of the agent and not of the
machine, so nothing is fsynced. A line that cannot be read names no address: then an address is nobody's of ours.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path

from relocd.adapters.durable import replace_file
from relocd.errors import Failed
from relocd.model.entries import ServiceAddress

__all__ = ["AddressRecord"]

_log = logging.getLogger(__name__)


class AddressRecord:
    """`INTERFACE ADDRESS` a line, replaced whole with each change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: set[tuple[str, ServiceAddress]] = set()

    def load(self) -> None:
        """Read what an agent before this one has written; a file that is not there names nothing."""
        try:
            text = self._path.read_text(errors="replace")
        except FileNotFoundError:
            text = ""
        except OSError as error:
            raise Failed(f"{self._path}: cannot be read ({error.strerror}); correct that folder") from error
        self._names = set(_entries(text))

    def names(self, interface: str, address: ServiceAddress) -> bool:
        """Whether relocd has raised that address there."""
        return (interface, address) in self._names

    def add(self, interface: str, address: ServiceAddress) -> None:
        """Write down an address, before it is raised. Raises `Failed` when that is not possible."""
        self._replace(self._names | {(interface, address)})

    def forget(self, interface: str, address: ServiceAddress) -> None:
        """Strike out an address, after it was dropped. Raises `Failed` when that is not possible."""
        self._replace(self._names - {(interface, address)})

    def _replace(self, names: set[tuple[str, ServiceAddress]]) -> None:
        if names == self._names:
            return
        lines = sorted(f"{interface} {address}\n" for interface, address in names)
        replace_file(self._path, "".join(lines).encode(), durable=False)
        self._names = names


def _entries(text: str) -> Iterator[tuple[str, ServiceAddress]]:
    for line in text.splitlines():
        interface, _, address = line.partition(" ")
        try:
            yield interface, ip_interface(address)
        except ValueError:
            _log.warning("a line of the record of addresses cannot be read", extra={"fields": {"line": line}})
