"""The record of the addresses that relocd has raised and that have not gone since.

It says whose an address is where the mark on it does not: on a kernel without marks (before 5.18), and after somebody
took the mark away (`ip address replace` does). It lies in the run folder, a tmpfs: as the addresses themselves it
survives a restart of the agent and not of the machine, so nothing is fsynced. A line that cannot be read names no
address.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from ipaddress import ip_interface
from pathlib import Path

from relocd.adapters.files.durable import replace_file
from relocd.errors import Failed
from relocd.model.entries import ServiceAddress

__all__ = ["AddressRecord"]

_log = logging.getLogger(__name__)


_Name = tuple[str, ServiceAddress]


class AddressRecord:
    """`INTERFACE ADDRESS` a line; `write` replaces the file whole where it says something else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: frozenset[_Name] = frozenset()
        self._written: frozenset[_Name] = frozenset()

    def load(self) -> None:
        """Read what an agent before this one has written; a file that is not there names nothing."""
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
        """Whether relocd has raised that address there."""
        return (interface, address) in self._names

    def add(self, interface: str, address: ServiceAddress) -> None:
        """An address is about to be raised."""
        self._names |= {(interface, address)}

    def forget(self, interface: str, address: ServiceAddress) -> None:
        """An address was dropped or has gone: whoever adds it again, it is not relocd's then."""
        self._names -= {(interface, address)}

    def keep_only(self, present: Collection[_Name]) -> None:
        """All that have gone while nobody looked are relocd's no more."""
        self._names &= frozenset(present)

    def check(self) -> None:
        """Raise `Failed` when nothing could be written down now."""
        replace_file(self._path, self._content(), durable=False)

    def write(self) -> None:
        """Write down what has changed; raises `Failed` where only memory has it."""
        if self._names != self._written:
            replace_file(self._path, self._content(), durable=False)
            self._written = self._names

    def _content(self) -> bytes:
        return "".join(sorted(f"{interface} {address}\n" for interface, address in self._names)).encode()


def _entries(text: str) -> Iterator[_Name]:
    for line in text.splitlines():
        interface, _, address = line.partition(" ")
        try:
            yield interface, ip_interface(address)
        except ValueError:
            _log.warning("a line of the record of addresses cannot be read", extra={"fields": {"line": line}})
