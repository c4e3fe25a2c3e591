"""`./dev bench scale`: an agent before a large directory, and one without work.

Measured by `scale`: how fast it takes in a large directory, the memory that this leaves it with, the processor time of
a change that concerns other servers only, and what it costs when idle.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import ldap
from ldap import sasl
from rich.console import Console
from rich.table import Table

from tests.lab.hosts.hosts import Lan
from tests.lab.hosts.node import Node
from tests.lab.interrupts import INTERRUPTED, Interrupts
from tests.lab.slapd.slapd import Slapd, server_dn, server_ldif, service_dn, service_ldif
from tests.lab.usage import Usage, settled, usage

__all__ = ["add_arguments", "run"]

_SLAPD_BYTES: Final = 1 << 30
_CHANGE_EVERY_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure and what it should be."""

    name: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def is_good(self) -> bool:
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    @property
    def wanted(self) -> str:
        if self.least is not None:
            return f">= {self.least:,g}"
        return "" if self.most is None else f"<= {self.most:,g}"


def run(chosen: argparse.Namespace) -> int:
    """Measure and print; the exit code is 1 when a figure is not what it should be."""
    console = Console()
    interrupts = Interrupts()
    interrupts.begin()
    figures: list[Figure] = []
    try:
        for figure in chain(_scale(chosen, console, interrupts), _idle(chosen, console, interrupts)):
            figures.append(figure)
            console.print(f"  {figure.name}: {figure.value:,.2f} {figure.unit}", highlight=False)
    except KeyboardInterrupt:
        console.print("interrupted; everything is removed")
        return INTERRUPTED
    console.print(_table(figures))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
    return 0 if all(figure.is_good for figure in figures) else 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--services", type=int, default=20_000)
    parser.add_argument("--parameters", type=int, default=5, help="of each service [5]")
    parser.add_argument("--changes", type=int, default=1_000, help="foreign changes of each kind [1000]")
    parser.add_argument("--idle-seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path, metavar="FILE")


@contextmanager
def _agent(content: Callable[[Path], None]) -> Iterator[tuple[Node, Slapd]]:
    """An agent on a host and a slapd on another, with the entries of an LDIF file."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary, Lan(["node1", "directory"]) as lan:
        folder = Path(temporary)
        content(folder / "content.ldif")
        with Slapd(host=lan["directory"], max_size=_SLAPD_BYTES) as slapd:
            slapd.stop()
            slapd.slapadd(folder / "content.ldif")
            slapd.start()
            node = Node(
                lan["node1"],
                folder / "node1",
                [slapd.uri],
                tables={"guards": {"folders": ["/etc/relocd"]}},
                folders=("/etc/relocd",),
            )
            with node:
                yield node, slapd


def _scale(chosen: argparse.Namespace, console: Console, interrupts: Interrupts) -> Iterator[Figure]:
    console.print(f"{chosen.servers:,} servers and {chosen.services:,} services", highlight=False)
    with interrupts.around(_agent(lambda path: _write_many(path, chosen))) as (node, slapd):
        lines = list(node.lines())
        started = next(line for line in lines if line.message == "search started")
        complete = next(line for line in lines if line.message == "refresh complete")
        entries, took_ns = int(complete.fields["entries"]), complete.at_ns - started.at_ns
        yield Figure("entries of the refresh", entries, "", least=chosen.servers + chosen.services)
        yield Figure("refresh", entries / took_ns * 1e9, "entries/s", least=10_000)
        after = settled(node.agent.pid)
        yield from _memory(after, most=120)
        for name, change in _foreign_changes(chosen).items():
            cost = _cost_ms(node.agent.pid, slapd, change, chosen.changes)
            yield Figure(f"CPU of a change, {name}", cost, "ms", most=0.5)
        yield Figure("memory after all changes", usage(node.agent.pid).rss_mb, "MB", most=120)


def _idle(chosen: argparse.Namespace, console: Console, interrupts: Interrupts) -> Iterator[Figure]:
    console.print("idle, in a directory of two servers and one service")
    with interrupts.around(_agent(_write_few)) as (node, _):
        before = settled(node.agent.pid)
        time.sleep(chosen.idle_seconds)  # not a synchronisation: the time that is measured
        after = usage(node.agent.pid)
        share = (after.cpu_ms - before.cpu_ms) / (chosen.idle_seconds * 1000) * 100
        yield Figure("idle CPU", share, "% of a core", most=0.5)
        yield from _memory(after, most=60)


def _memory(now: Usage, *, most: float) -> Iterator[Figure]:
    yield Figure("memory of the agent (RSS)", now.rss_mb, "MB", most=most)
    yield Figure("memory at its peak", now.peak_mb, "MB")
    yield Figure("memory of agent and renderer (PSS)", now.family_mb, "MB")


def _write_many(path: Path, chosen: argparse.Namespace) -> None:
    """Each server but node1, which has one service, is linked to two services of its own."""
    with path.open("w") as file:
        _write_one_service(file.write)
        for number in range(chosen.services - 1):
            parameters = {f"key{each}": f"value {each} of service {number}" for each in range(chosen.parameters)}
            file.write(service_ldif(f"service{number}", template_sets=["nginx"], parameters=parameters))
        for number in range(chosen.servers - 1):
            links = [f"service{(2 * number + each) % max(chosen.services - 1, 1)}" for each in range(2)]
            file.write(server_ldif(f"server{number}", services=links))


def _write_few(path: Path) -> None:
    with path.open("w") as file:
        _write_one_service(file.write)
        file.write(server_ldif("node2"))


def _write_one_service(write: Callable[[str], object]) -> None:
    write(service_ldif("echo", addresses=["192.0.2.10/24", "2001:db8::10/64"], template_sets=["script-echo"]))
    write(server_ldif("node1", services=["echo"]))


Change = Callable[[int], tuple[str, str, list[str]]]


def _foreign_changes(chosen: argparse.Namespace) -> dict[str, Change]:
    """Changes by what they change; each gives the entry, the attribute and its new values for a number."""

    def parameter(number: int) -> tuple[str, str, list[str]]:
        return service_dn(f"service{number % (chosen.services - 1)}"), "relocParameter", [f"changed=at {number}"]

    def link(number: int) -> tuple[str, str, list[str]]:
        links = [service_dn(f"service{(number + 7) % (chosen.services - 1)}")]
        return server_dn(f"server{number % (chosen.servers - 1)}"), "relocServiceLink", links

    return {"foreign parameter": parameter, "foreign link": link}


def _cost_ms(pid: int, slapd: Slapd, change: Change, count: int) -> float:
    """The CPU time that the agent spends on one change, each sent by itself over one connection."""
    connection = ldap.initialize(slapd.ldapi_uri)
    connection.sasl_interactive_bind_s("", sasl.external())
    try:
        before = settled(pid)
        for number in range(count):
            dn, attribute, values = change(number)
            connection.modify_s(dn, [(ldap.MOD_REPLACE, attribute, [value.encode() for value in values])])
            time.sleep(_CHANGE_EVERY_S)  # not a synchronisation: together they would be one batch
        return (settled(pid).cpu_ms - before.cpu_ms) / count
    finally:
        connection.unbind_s()


def _table(figures: list[Figure]) -> Table:
    table = Table()
    for name in ("", "measured", "unit", "wanted", ""):
        table.add_column(name, justify="right" if name in {"measured", "wanted"} else "left")
    for figure in figures:
        mark = "" if not figure.wanted else "[green]yes[/green]" if figure.is_good else "[red]no[/red]"
        table.add_row(figure.name, f"{figure.value:,.2f}", figure.unit, figure.wanted, mark)
    return table
