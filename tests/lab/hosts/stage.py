"""Servers with agents, a directory, and a client that asks a service address once a millisecond: for handovers.

A responder answers on every address of every server from the beginning, so that an address answers exactly where it
is. Each server has template sets, files and units of its own: what is broken on one is whole on the others.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal, Self

from tests.lab.deadline import until
from tests.lab.hosts.hosts import Lan
from tests.lab.hosts.node import Node, Tables, merged
from tests.lab.probers.watch import Watch, program
from tests.lab.slapd.ldif import base_ldif, server_dn, server_ldif, service_ldif
from tests.lab.slapd.provider_pair import provider_pair
from tests.lab.slapd.slapd import PASSWORD, SCHEMA, Slapd

__all__ = ["ADDRESS", "FILE", "IDENTITY", "UNIT", "Stage", "Unit"]

ADDRESS: Final = "192.0.2.10"
FILE: Final = '[[file]]\nsource = "plain.j2"\ntarget = "{folder}/{{name}}.conf"\n'
UNIT: Final = '[[unit]]\nname = "u-{{name}}"\n'
IDENTITY: Final[Mapping[str, Any]] = {
    "objectClass": ("device", "simpleSecurityObject", "relocServer"),
    "userPassword": PASSWORD,
}
"""What makes a server's entry one that its agent can bind as."""
_SERVICES: Final = ("web", "mail")
_OPENING_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of one server: it runs while its marker exists.

    It does not start while it is `broken`, its stop fails while it is `stuck` and does not end while it `hangs`.
    """

    folder: Path
    name: str

    @property
    def runs(self) -> bool:
        return self._marker.exists()

    def spoil(self) -> None:
        """From now on it does not start."""
        self._broken.touch()

    def mend(self) -> None:
        self._broken.unlink()

    def vanish(self) -> None:
        """It ends with its machine, if it ran."""
        self._marker.unlink(missing_ok=True)

    def stick(self) -> None:
        """From now on its stop fails."""
        self._beside("stuck").touch()

    def hang(self) -> None:
        """From now on its stop does not end."""
        self._beside("hangs").touch()

    def free(self) -> None:
        """It stops again."""
        for trouble in ("stuck", "hangs"):
            self._beside(trouble).unlink(missing_ok=True)

    @property
    def starts(self) -> int:
        """How often it was told to start."""
        log = self._beside("starts")
        return len(log.read_bytes()) if log.exists() else 0

    def table(self) -> Mapping[str, Sequence[str]]:
        """The `[units.script]` table that stands for it."""
        marker, starts = self._marker, self._beside("starts")
        stop = f"test ! -e {self._beside('stuck')} && while [ -e {self._beside('hangs')} ]; do sleep 0.05; done"
        return {
            "start": ["sh", "-c", f"printf . >>{starts}; test ! -e {self._broken} && touch {marker}"],
            "stop": ["sh", "-c", f"{stop} && rm -f {marker}"],
            "status": ["test", "-e", str(marker)],
        }

    @property
    def _marker(self) -> Path:
        return self.folder / self.name

    @property
    def _broken(self) -> Path:
        return self._beside("broken")

    def _beside(self, what: str) -> Path:
        return self.folder / f"{self.name}.{what}"


class Stage:
    """The rig, as a context manager; the agents are there from `start` on.

    `lease_s` is the lease of every agent; `tables` are added to every configuration from now on. Each server has
    the template sets `plain`, one file, and `unit`, a file and the unit `u-NAME` of the service NAME. A single provider
    has a host of its own, and the schema of `schema_folder` in its cn=config; two are on the first two servers, and
    further servers follow the second. `slapds` is the one that a server follows.
    """

    def __init__(
        self,
        names: Sequence[str] = ("node1", "node2"),
        *,
        lease_s: float = 2.0,
        providers: Literal[1, 2] = 1,
        schema_folder: Path = SCHEMA,
    ) -> None:
        self.names = tuple(names)
        self.providers = providers
        self.nodes: dict[str, Node] = {}
        self.slapds: dict[str, Slapd] = {}
        self.tables: Tables = {}
        self.lease_s = lease_s
        self._schema_folder = schema_folder
        self._numbers = count()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stage-")))
            self.lan = stack.enter_context(Lan([*self.names, "client", "directory"]))
            self.lan.pin("client")
            self.slapds = self._directory(stack)
            self.slapd = self.slapds[self.names[0]]
            for name in self.names:
                program(self.lan[name], "probers.echo", "--name", name)
                self._furnish(name)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, *names: str, tables: Tables | None = None) -> None:
        """Start the agents of these servers, or of all that have none, and wait for their first refresh."""
        for name in names or self.names:
            if name not in self.nodes:
                uris = [self._uri(name)]
                node = Node(self.lan[name], self.folder / name, uris, tables=self._tables(name, tables))
                self.nodes[name] = self._stack.enter_context(node)

    def opens(self, service: str, *, at: str = "node1", on: Sequence[str] = (), **more: Any) -> None:
        """The beginning of most plays: a service with one address, linked to one of the servers, serves there.

        `on` are the servers whose agents run, all when it is empty; `more` are facts of the service.
        """
        facts = {"addresses": [f"{ADDRESS}/24"], "template_sets": ["plain"], **more}
        servers = [server_ldif(name, services=[service] * (name == at), **IDENTITY) for name in self.names]
        self.slapd.add("".join([service_ldif(service, **facts), *servers]))
        self.start(*on)
        until(lambda: self.stands(at, service) == "active", _OPENING_S)

    def watch(self, address: str = ADDRESS, *, interval_ms: float = 1.0) -> Watch:
        """The client that judges, not started yet."""
        macs = [f"--mac={name}={self.lan[name].mac}" for name in self.names]
        interval = [f"--interval-ms={interval_ms}"]
        output = self.folder / f"probes-{next(self._numbers)}.jsonl"
        return Watch(self.lan["client"], output, "probers.prober", ["--target", address, *interval, *macs])

    def template_set(self, server: str, name: str, manifest: str, template: str = "{{ service.name }}\n") -> None:
        """Write a template set of one server; its template first, so that the set is whole once it has a manifest."""
        folder = self.folder / server / "sets" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plain.j2").write_text(template)
        (folder / "manifest.toml").write_text(manifest.format(folder=self.files(server)))

    def files(self, server: str) -> Path:
        """The folder that the files of one server go to."""
        return self.folder / server / "files"

    def unit(self, server: str, service: str) -> Unit:
        """The unit of a service on one server."""
        return Unit(self.folder / server / "units", f"u-{service}")

    def holders(self, address: str = ADDRESS) -> list[str]:
        """The servers that have an address now, by their kernels."""
        return [name for name in self.names if ip_address(address) in self.lan[name].addresses()]

    def service_status(self, server: str, service: str) -> Mapping[str, Any]:
        """What the status of a server says about a service; empty where it says nothing."""
        services = self.status(server).get("services", [])
        return next((each for each in services if each["name"] == service), {})

    def status(self, server: str) -> Mapping[str, Any]:
        """The whole status of a server; empty before it has any."""
        path = self.folder / server / "run" / "status.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def stands(self, server: str, service: str) -> str:
        """The state of a service on a server by the server's status, empty where that says nothing."""
        return str(self.service_status(server, service).get("state", ""))

    def words(self, server: str, service: str) -> str:
        """How a server stands to a service and what is wrong with that, in one text."""
        status = self.service_status(server, service)
        return "; ".join([status.get("reason", ""), *status.get("problems", ())])

    def log_text(self) -> str:
        """The last words of every agent, for an error's message."""
        return "\n".join(f"--- {name}\n{node.log_text()}" for name, node in self.nodes.items())

    def _directory(self, stack: ExitStack) -> dict[str, Slapd]:
        if self.providers == 1:
            alone = Slapd(
                host=self.lan["directory"],
                content=base_ldif(),
                durable=False,
                schema="config",
                schema_folder=self._schema_folder,
            )
            return dict.fromkeys(self.names, stack.enter_context(alone))
        first, second = provider_pair(stack, [self.lan[name] for name in self.names[:2]])
        return {name: first if name == self.names[0] else second for name in self.names}

    def _bind(self, name: str) -> Mapping[str, str]:
        return {} if self.providers == 1 else {"bind_dn": server_dn(name)}

    def _uri(self, name: str) -> str:
        """Where an agent finds its directory: at its own server by the local socket."""
        slapd = self.slapds[name]
        return slapd.ldapi_uri if slapd.host is self.lan[name] else slapd.uri

    def _furnish(self, name: str) -> None:
        for folder in ("files", "units"):
            (self.folder / name / folder).mkdir(parents=True)
        self.template_set(name, "plain", FILE)
        self.template_set(name, "unit", FILE + UNIT)

    def _tables(self, name: str, more: Tables | None) -> Tables:
        units = {f'units.script."u-{service}"': self.unit(name, service).table() for service in _SERVICES}
        folder = self.folder / name
        usual = {
            "guards": {"folders": [str(folder / "files")], "units": ["u-*"]},
            "paths": {"template_sets": [str(folder / "sets")]},
            "directory": {"connect_timeout_s": 1.0, "operation_timeout_s": 1.0, **self._bind(name)},
            "handover": {"lease_s": self.lease_s},
            "agent": {"log_level": "debug", "retry_min_s": 0.2, "retry_max_s": 1.0},
            **units,
        }
        return merged(merged(usual, self.tables), more or {})
