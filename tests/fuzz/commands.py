"""Command lines as tired people and scripts write them, against no directory and against one with hostile entries.

Whatever the line is: no traceback, an exit code of the table in docs/commands.md, and output that any terminal shows.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import click
from ldap3 import ANONYMOUS

from relocd.cli.main import app, run
from tests.fuzz.frame import given
from tests.fuzz.odd import odd_bytes, odd_number, odd_text, one_in
from tests.support.entries import BASE, dn, uuid_of

NAME = "commands"
CASES = 240

_CODES = {0, 1, 2, 3}
_NAMES = ("web", "me", "twin", "pool", dn("web"), f"CN=ME, {BASE}", "cn=web", "=", ",", "--", "-x", "[/x]", "gone")
_URIS = ("ldap://127.0.0.1:1", "ldapi://%2Fnone", "ldap://", "ldap://2001:db8::3:389", "ldap://a:b", "ldap://[::1]:1")
_PLACES = ("", "/", ".", "/dev/null", "/nowhere/x", "folder", "file")
_CLASSES = ("relocServer", "relocCluster", "relocService", "relocServiceState", "relocServerStatus")
_LINKED = ("relocServiceLink", "relocClusterLink", "relocActive", "relocDisplaces", "relocHolder", "relocCandidate")
_USUAL = {
    **dict.fromkeys((*_LINKED, "relocPrevious", "relocActiveService", "relocFailedService"), ""),
    "relocFenced": "TRUE",
    "relocExclusive": "TRUE",
    "relocAddress": "192.0.2.10/24",
    "relocFailover": "manual",
    "relocIsolation": "keep",
    "relocGeneration": "1",
    "relocLease": "10",
    "relocMode": "normal",
    "relocProblem": "web: given back",
    "relocActedOn": "web=1",
    "contextCSN": "20260101000000.000001Z#000000#001#000000",
    "namingContexts": BASE,
    "subschemaSubentry": "cn=Subschema",
}
# These act on this machine, or go on until somebody ends them.
_LEFT_OUT = frozenset({"agent", "apply", "install", "init-pair", "check", "completion"})
_COMMANDS: dict[str, click.Command] = {name: command for name, command in app.commands.items() if name not in _LEFT_OUT}


def case(random: Random) -> None:
    """One line, run in this process."""
    hostile = one_in(random, 2)
    line = _line(random, hostile=hostile)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        _furnish(Path(folder), random)
        stack.enter_context(patch.dict(os.environ, {"RELOCD_CONFIG": f"{folder}/none", "COLUMNS": odd_number(random)}))
        stack.callback(os.chdir, Path.cwd())
        os.chdir(folder)
        if hostile:
            stack.enter_context(patch("ldap3.Connection", lambda *_, **__: _Hostile(random)))
        stack.enter_context(given(line=line, hostile=hostile))
        with redirect_stdout(out), redirect_stderr(out):
            code = run(line)
        said = out.buffer.getvalue().decode()
        assert code in _CODES, f"exit code {code}: {said}"
        assert all(each.isprintable() for each in re.split(r"[\n\t]", said)), repr(said)


def _furnish(folder: Path, random: Random) -> None:
    (folder / "folder").mkdir()
    (folder / "file").write_bytes(odd_bytes(random, '{"server": "cn=a", "services": []}'))


def _line(random: Random, *, hostile: bool) -> list[str]:
    name = random.choice([*_COMMANDS])
    command = _COMMANDS[name]
    line = [name if not one_in(random, 20) else odd_text(random)]
    if not one_in(random, 4):
        uri = "ldap://127.0.0.1:1" if hostile else random.choice(_URIS)
        line += ["--uri", uri, "--base", BASE if not one_in(random, 6) else odd_text(random)]
    for parameter in command.params:
        line += _given(random, parameter)
    if one_in(random, 10):
        line.append(odd_text(random))
    return line


def _given(random: Random, parameter: click.Parameter) -> Iterator[str]:
    """An argument, or now and then an option; none that makes a command wait for long or go on for ever."""
    if isinstance(parameter, click.Argument):
        if not one_in(random, 12):
            yield _value(random, parameter)
    elif one_in(random, 8) and parameter.name not in {"every_s", "uri", "base", "help", "wait"}:
        yield random.choice(parameter.opts)
        if not getattr(parameter, "is_flag", False):
            yield "0" if parameter.name == "timeout_s" else _value(random, parameter)


def _value(random: Random, parameter: click.Parameter) -> str:
    if one_in(random, 4):
        return odd_text(random)
    if isinstance(parameter.type, click.Choice):
        return random.choice([*parameter.type.choices])
    if isinstance(parameter.type, click.Path):
        return random.choice(_PLACES)
    return odd_number(random) if isinstance(parameter.type, click.types.IntRange) else random.choice(_NAMES)


class _Hostile:
    """A connection as ldap3 gives it to a directory that shows whatever it likes, whatever it is asked."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.authentication = ANONYMOUS
        self.socket = None
        self.server = SimpleNamespace(name="hostile")
        self.response: list[dict[str, Any]] = []
        self.result = {"result": 0, "description": "success", "dn": "", "message": "", "type": ""}
        self.extend = SimpleNamespace(
            standard=SimpleNamespace(paged_search=self._paged, who_am_i=lambda: f"dn:{dn('me')}")
        )

    def bind(self) -> None:
        """It is."""

    open = unbind = start_tls = bind

    def search(self, base: str, filter_: str, *_: object, **__: object) -> None:
        """The entry of that name, or none."""
        self.response = [self._entry(base, filter_)] if self._random.random() < 0.8 else []

    def modify(self, *_: object) -> None:
        """It does not say whether it did."""

    def compare(self, *_: object) -> bool:
        """One or the other."""
        return self._random.random() < 0.5

    def _paged(self, _: object, filter_: str, *__: object, **___: object) -> list[dict[str, Any]]:
        names = [*map(dn, _NAMES[:4]), *(f"cn=status,{dn(name)}" for name in _NAMES[:4]), f"cn=state,{dn('web')}"]
        many = self._random.choice((0, 1, 1, 1, 1, 5))
        return [self._entry(self._random.choice(names), filter_) for _ in range(many)]

    def _entry(self, name: str, filter_: str) -> dict[str, Any]:
        asked = re.findall(r"objectClass=(reloc\w+)", filter_)
        found: dict[str, list[bytes]] = {
            "objectClass": [self._random.choice(asked or _CLASSES).encode()],
            "entryUUID": [uuid_of(name).encode()],
            "entryCSN": [odd_bytes(self._random, "20260101000000.000001Z#000000#001#000000")],
        }
        for attribute, usual in _USUAL.items():
            if self._random.random() < 0.2:
                value = usual or dn(self._random.choice(_NAMES[:4]))
                found[attribute] = [odd_bytes(self._random, value) if one_in(self._random, 3) else value.encode()]
        odd = odd_text(self._random).replace("\\", "").translate({ord(each): None for each in ',+"<>;='})
        shown = name if self._random.random() < 0.7 else f"cn={odd},{name}"
        return {"type": "searchResEntry", "dn": shown, "raw_attributes": found}
