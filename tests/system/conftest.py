"""Two servers with real agents and a real slapd, and what a test needs to watch them.

`pair` is for what happens to one service on one server, `stage` for what the servers agree on
(`tests.lab.hosts.stage`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.lab.hosts.hosts import Lan
from tests.lab.hosts.node import Node, Tables
from tests.lab.hosts.stage import Stage
from tests.lab.slapd.ldif import SUFFIX, base_ldif, server_ldif, service_ldif
from tests.lab.slapd.slapd import Slapd

ADDRESS = "192.0.2.50"
SIXTH = "2001:db8::50"
PLAIN = """
[[file]]
source = "plain.j2"
target = "{folder}/{{name}}.conf"
"""


@pytest.fixture
def lan() -> Iterator[Lan]:
    """New hosts for each test: an agent that ends leaves its addresses, as it should."""
    with Lan(("node1", "node2", "ldap")) as lan:
        yield lan


class Pair:
    """The two servers, the directory, and a folder of template sets of the test's own."""

    def __init__(self, lan: Lan, slapd: Slapd, folder: Path, stack: ExitStack) -> None:
        self.lan = lan
        self.slapd = slapd
        self.suffix = SUFFIX
        self.folder = folder
        self.files = folder / "files"
        self.sets = folder / "sets"
        self.nodes: dict[str, Node] = {}
        self._stack = stack
        self.files.mkdir()
        self.sets.mkdir()
        self.template_set("plain", PLAIN.format(folder=self.files), {"plain.j2": "{{ parameters.word }}\n"})

    def template_set(self, name: str, manifest: str, templates: dict[str, str]) -> Path:
        """Write a template set; templates first, so that the set is whole once it has a manifest."""
        folder = self.sets / name
        folder.mkdir(exist_ok=True)
        for source, text in templates.items():
            (folder / source).write_text(text)
        (folder / "manifest.toml").write_text(manifest)
        return folder

    def node(self, name: str, tables: Tables | None = None, *, start: bool = True, folders: Sequence[str] = ()) -> Node:
        """A server with its agent at work."""
        more = {
            "guards": {"networks": ["192.0.2.0/24", "2001:db8::/64"], "folders": [str(self.files)], "units": ["u-*"]},
            "paths": {"template_sets": [str(self.sets)]},
            "wire": {"probes": 0},
            "agent": {"log_level": "debug", "retry_min_s": 0.2, "retry_max_s": 1.0},
            **{f"units.script.{key}": value for key, value in units(self.folder).items()},
        }
        for table, keys in (tables or {}).items():
            more[table] = more.get(table, {}) | dict(keys)
        uris = [self.slapd.uri]
        node = Node(self.lan[name], self.folder / name, uris, tables=more, folders=folders)
        self.nodes[name] = self._stack.enter_context(node) if start else node
        return node

    def add(self, *entries: str) -> None:
        self.slapd.add("".join(entries))

    def service(self, name: str, word: str = "hello", **more: Any) -> None:
        """A service with one address and one file that says a word."""
        settings = {"addresses": [f"{ADDRESS}/24"], "template_sets": ["plain"], "parameters": {"word": word}} | more
        self.add(service_ldif(name, **settings))

    def entry(self, dn: str) -> str:
        """An entry as `ldapsearch` shows it."""
        command = self.slapd.command("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-s", "base", "-b", dn)
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout

    def word_of(self, name: str) -> str | None:
        """What the file of a service says now."""
        path = self.files / f"{name}.conf"
        return path.read_text().strip() if path.exists() else None


def units(folder: Path) -> dict[str, dict[str, list[str]]]:
    """A unit that runs while its marker exists, one that hangs on its start, and one that fails to."""
    marker = str(folder / "u-good")
    return {
        "u-good": {"start": ["touch", marker], "stop": ["rm", marker], "status": ["test", "-e", marker]},
        "u-hangs": {"start": ["sleep", "600"], "stop": ["true"], "status": ["false"]},
        "u-fails": {"start": ["false"], "stop": ["true"], "status": ["false"]},
    }


@pytest.fixture
def pair(lan: Lan, tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        slapd = stack.enter_context(Slapd(host=lan["ldap"], durable=False))
        pair = Pair(lan, slapd, tmp_path, stack)
        yield pair
        for node in pair.nodes.values():  # shown by pytest when the test failed
            print("---", node.host.name, node.log_text(), sep="\n")


@pytest.fixture
def staged() -> Iterator[Callable[..., Stage]]:
    """Makes stages, given what their constructor takes; each is gone with the test."""
    with ExitStack() as stack:
        stages: list[Stage] = []

        def make(*names: str, **more: Any) -> Stage:
            stages.append(stack.enter_context(Stage(names or ("node1", "node2"), **more)))
            return stages[-1]

        yield make
        for stage in stages:  # shown by pytest when the test failed
            print(stage.log_text())


def has(node: Node, address: str = ADDRESS) -> bool:
    """Whether a server has an address now."""
    return ip_address(address) in node.host.addresses()


NOTHING_YET = {"services": [], "problems": [], "directory": {"state": "", "detail": ""}}


def status(node: Node) -> dict[str, Any]:
    """The agent's status file."""
    path = node.folder / "run" / "status.json"
    return json.loads(path.read_text()) if path.exists() else NOTHING_YET


def directory(node: Node) -> str:
    """How the agent stands to the directory."""
    return str(status(node)["directory"]["state"])


def state(node: Node, service: str) -> str:
    """The state of a service in the status, empty where there is none."""
    return next((str(each["state"]) for each in status(node)["services"] if each["name"] == service), "")


def problems(node: Node, service: str) -> str:
    """What the status says is wrong with a service, as one text."""
    return " ".join(text for each in status(node)["services"] if each["name"] == service for text in each["problems"])


def actions(node: Node) -> list[str]:
    """Every action that the agent has done so far."""
    return [line.action for line in node.lines() if line.action]


def empty_tree() -> str:
    """The directory's tree without servers and services."""
    return base_ldif()


def linked(name: str, *services: str) -> str:
    """A server's entry with direct links."""
    return server_ldif(name, services=services)
