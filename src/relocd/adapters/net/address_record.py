"""The record of the addresses that relocd has raised and that are still there.

It identifies them where their mark does not: on a kernel without marks (before 5.18), and after the mark was removed
(`ip address replace` does that). The file is in the run folder, a tmpfs: like the addresses it outlives the agent, not
the machine, so nothing is fsynced. A line that cannot be read names no address.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator
from ipaddress import ip_interface
from pathlib import Path
from typing import Final

from relocd.adapters.files.durable import replace_file
from relocd.errors import Failed
from relocd.model.entries import ServiceAddress

__all__ = ["AddressRecord"]

_log = logging.getLogger(__name__)

_WRITE_S: Final = 0.05

_Name = tuple[str, ServiceAddress]


class AddressRecord:
    """One line for each address, `INTERFACE ADDRESS`. Changes are in memory until one of the writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: frozenset[_Name] = frozenset()
        self._written: frozenset[_Name] = frozenset()
        self._timer: asyncio.TimerHandle | None = None

    def load(self) -> None:
        """Read the record of the agent before this one; a missing file names no address."""
        try:
            text = self._path.read_text(errors="replace")
        except FileNotFoundError:
            text = ""
        except OSError as error:
            raise Failed(f"{self._path}: cannot be read ({error.strerror}); correct that folder") from error
        self._names = self._written = frozenset(_entries(text))

    @property
    def all(self) -> frozenset[tuple[str, ServiceAddress]]:
        """The interface and the address of every one that relocd has raised."""
        return self._names

    def names(self, interface: str, address: ServiceAddress) -> bool:
        """Whether relocd has raised that address on that interface."""
        return (interface, address) in self._names

    def add(self, interface: str, address: ServiceAddress) -> None:
        """Name an address that is about to be raised."""
        self._names |= {(interface, address)}

    def forget(self, interface: str, address: ServiceAddress) -> None:
        """Remove an address that was dropped or is gone; if it is added again by others, it is not ours."""
        self._names -= {(interface, address)}

    def keep_only(self, present: Collection[_Name]) -> None:
        """Remove all addresses but those that are present, after changes may have been missed."""
        self._names &= frozenset(present)

    def check(self) -> None:
        """Raise `Failed` when the record could not be written now."""
        replace_file(self._path, self._content(), durable=False)

    def write(self) -> None:
        """Write the changes now; raises `Failed`."""
        if self._names != self._written:
            replace_file(self._path, self._content(), durable=False)
            self._written = self._names

    def write_soon(self) -> None:
        """Write the changes a moment later, when the addresses that move are up."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WRITE_S, self.write_or_log)

    def write_or_log(self) -> None:
        """Write the changes now; a failure is logged."""
        self._timer = None
        try:
            self.write()
        except Failed as error:
            _log.warning("the record of addresses cannot be written", extra={"fields": {"problem": str(error)}})

    def close(self) -> None:
        """Write the changes that are to be written soon."""
        if self._timer is not None:
            self._timer.cancel()
            self.write_or_log()

    def _content(self) -> bytes:
        return "".join(sorted(f"{interface} {address}\n" for interface, address in self._names)).encode()


def _entries(text: str) -> Iterator[_Name]:
    for line in text.splitlines():
        interface, _, address = line.partition(" ")
        try:
            yield interface, ip_interface(address)
        except ValueError:
            _log.warning("a line of the record of addresses cannot be read", extra={"fields": {"line": line}})
