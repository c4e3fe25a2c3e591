"""Entries as no administrator writes them: names and attributes, through parser, mirror, agent and status."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import replace
from random import Random

from rich.console import Console

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Entry
from relocd.model.parse import parsed
from relocd.operator.status.tables import tables
from relocd.operator.status.view import view
from tests.fuzz.frame import given
from tests.fuzz.odd import odd_bytes, odd_text, one_in, some
from tests.support.entries import BASE, dn, entry, server, status
from tests.support.fakes import until
from tests.unit.agent.lab import Lab

NAME = "entries"
CASES = 240

_NAMES = ("me", "twin", "web", "db", "pool")
_CLASSES = ("relocServer", "relocCluster", "relocService", "relocServiceState", "relocServerStatus")
_LINKS = (*map(dn, _NAMES), *(f"cn=state,{dn(name)}" for name in _NAMES), "CN=ME, " + BASE, BASE)
_USUAL = {
    "relocServiceLink": _LINKS,
    "relocClusterLink": _LINKS,
    "relocFenced": ("TRUE", "FALSE"),
    "relocActive": _LINKS,
    "relocFailover": ("manual", "automatic", "external"),
    "relocAddress": ("192.0.2.10/24", "192.0.2.11/32", "2001:db8::10/64", "198.51.100.1/24"),
    "relocInterface": ("eth0", "eth1"),
    "relocTemplateSet": ("web", "none"),
    "relocParameter": ("a=b", "listen=80", "a=c"),
    "relocSecret": ("password=x", "key=", "a=y"),
    "relocExclusive": ("TRUE", "FALSE"),
    "relocIsolation": ("keep", "release"),
    "relocDisplaces": _LINKS,
    "relocHolder": _LINKS,
    "relocCandidate": _LINKS,
    "relocPrevious": _LINKS,
    "relocGeneration": ("0", "1", "7"),
    "relocHeartbeat": ("20260101000000.0Z",),
    "relocLease": ("10", "2"),
    "relocMode": ("normal", "paused"),
    "relocProblem": ("web: something",),
    "relocActedOn": ("web=1",),
    "relocActiveService": _LINKS,
    "description": ("something else",),
}


def case(random: Random) -> None:
    """A directory of some entries, read whole and then changed, by the agent and by `relocd status`."""
    found = [server("me", services=("web", "db"), clusters=("pool",)), *(_entry(random) for _ in range(5))]
    changes = [_entry(random) for _ in range(2)]
    text = odd_bytes(random, random.choice(_LINKS)).decode(errors="replace")
    with given(entries=[_shown(each) for each in found], changes=[_shown(each) for each in changes], name=text):
        _read_name(text)
        for each in (*found, *changes):
            parsed(each)
        _told(found)
        asyncio.run(_served(found, changes))


def _read_name(text: str) -> None:
    with suppress(Invalid):
        name = DN.parse(text)
        assert DN.parse(str(name)) == name
        assert name.below("cn=state").parent == name
        assert isinstance(name.name, str)


def _told(entries: list[Entry]) -> None:
    """What an operator's command says."""
    console = Console(width=100, force_terminal=True)
    with console.capture():
        console.print(tables(view(entries, 1.8e9)))


async def _served(entries: list[Entry], changes: list[Entry]) -> None:
    """Give them to a whole agent; it goes on, and meets no defect of its own."""
    defects = _Defects()
    logging.getLogger("relocd").addHandler(defects)
    lab = Lab(*entries)
    try:
        async with lab.agent() as task:
            lab.directory.refresh()
            await until(lambda: task.done() or lab.said.status.get("directory", {}).get("state") == "current")
            lab.directory.put(*changes)
            await asyncio.sleep(0.02)
            if task.done():
                await task
            json.dumps(lab.said.status, allow_nan=False)
    finally:
        logging.getLogger("relocd").removeHandler(defects)
    if defects.first is not None:
        raise defects.first


def _entry(random: Random) -> Entry:
    kind = random.choice(_CLASSES)
    written = {name: _values(random, name) for name in some(random, [*_USUAL], 8)}
    name = random.choice(_NAMES[1:])
    made = status(name) if kind == "relocServerStatus" else entry(name, kind)
    if kind == "relocServiceState":
        made = replace(made, dn=DN.parse(f"cn=state,{dn(name)}"))
    with suppress(Invalid):
        if one_in(random, 6):
            made = replace(made, dn=DN.parse(f"cn={odd_text(random)},{BASE}"))
    csn = odd_text(random) if one_in(random, 6) else made.csn
    attributes = {**made.attributes, **{key.lower(): values for key, values in written.items()}}
    return replace(made, csn=csn, attributes=attributes)


def _values(random: Random, name: str) -> tuple[bytes, ...]:
    return tuple(odd_bytes(random, usual) for usual in some(random, _USUAL[name], 3))


def _shown(made: Entry) -> tuple[str, dict[str, tuple[bytes, ...]]]:
    return made.dn.text, dict(made.attributes)


class _Defects(logging.Handler):
    """Remembers the first exception that the agent logged instead of ending."""

    def __init__(self) -> None:
        super().__init__()
        self.first: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and self.first is None:
            self.first = record.exc_info[1]
