"""Those who move a sick service, on the hosts of `sick_hosts.py`, one at a time: relocd, and keepalived.

Both ask every `INTERVAL_S`, wait for an answer for at most `TIMEOUT_S`, and believe `FALL` failures in a row. relocd
uses its shipped template set `nginx` with these numbers, in an automatic cluster. keepalived has an nginx that runs on
both servers all the time, a `vrrp_script` each for the page and for the gateway, and tracks its interface.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, Self

from relocd.shipped import shipped_template_sets
from tests.lab.deadline import until
from tests.lab.hosts.node import Node, Tables
from tests.lab.scenarios.application import PORT
from tests.lab.scenarios.keepalived import Keepalived, Way
from tests.lab.scenarios.sick_hosts import ADDRESS, GATEWAY, NODES, SickHosts
from tests.lab.slapd.ldif import activate_ldif, base_ldif, cluster_ldif, server_ldif, service_ldif
from tests.lab.slapd.slapd import Slapd

__all__ = ["FALL", "INTERVAL_S", "TIMEOUT_S", "KeepalivedRival", "RelocdRival", "Rival"]

INTERVAL_S: Final = 1.0
TIMEOUT_S: Final = 1.0
FALL: Final = 3
_PATIENCE_S: Final = 40.0
_PREFIX: Final = "/run/relocd-nginx/web"
_PID: Final = f"{_PREFIX}/nginx.pid"
_LOST: Final = frozenset({"Z", "X"})
_UPSTREAM: Final = f"http://127.0.0.1:{PORT}"
# As systemd ends a unit with `KillMode=mixed`: a process that was stopped by a signal goes on to be ended.
_STOP: Final = f"""\
pid=$(cat {_PID} 2>/dev/null) || exit 0
all="$pid $(cat /proc/$pid/task/$pid/children 2>/dev/null)"
kill -TERM $pid 2>/dev/null; kill -CONT $all 2>/dev/null
for turn in $(seq 500); do
    grep -q '^State:.[^ZX]' /proc/$pid/status 2>/dev/null || break
    sleep 0.01
done
kill -KILL $all 2>/dev/null
rm -f {_PID}
"""
_NGINX: Final = """\
worker_processes 1;
pid {folder}/nginx.pid;
events {{
}}
http {{
    access_log off;
    client_body_temp_path {folder}/temp;
    proxy_temp_path {folder}/temp;
    fastcgi_temp_path {folder}/temp;
    scgi_temp_path {folder}/temp;
    uwsgi_temp_path {folder}/temp;
    server {{
        listen 80;
        location / {{
            proxy_pass {upstream};
            proxy_http_version 1.1;
        }}
    }}
}}
"""


class Rival(Protocol):
    """One that keeps the service on node1 until it fails there, as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def is_ready(self) -> bool:
        """Whether the service is on node1, known to be well, and node2 could take it."""
        ...

    def come_back(self) -> None:
        """After a failure that is over: have the service on node1 again."""
        ...

    def log_text(self) -> str:
        """The last words of the daemons, for an error's message."""
        ...


@dataclass(eq=False)
class RelocdRival:
    """Two agents and a directory of their own; a sick service is restarted `restarts` times before it moves.

    Within ten minutes it moves at most `moves` times.
    """

    hosts: SickHosts
    restarts: int
    moves: int = 100

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._slapd = stack.enter_context(Slapd(host=self.hosts.lan["directory"], content=_content()))
            folder = self.hosts.folder()
            self._nodes = {name: self._node(name, folder / name) for name in NODES}
            self.hosts.nginx_pid = {name: node.place(_PID) for name, node in self._nodes.items()}
            for name, node in self._nodes.items():
                stack.callback(_end, self.hosts, name)
                stack.enter_context(node)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        _clear(self.hosts)

    def is_ready(self) -> bool:
        return self._serves("node1") and not self._failed("node2")

    def come_back(self) -> None:
        """Also where it has stayed: a restart counts until the service has been elsewhere."""
        until(lambda: not self._server_failed("node1"), _PATIENCE_S)
        for name in ("node2", "node1"):
            self._slapd.modify(activate_ldif("pair", name))
            until(partial(self._serves, name), _PATIENCE_S)
        until(self.is_ready, _PATIENCE_S)

    def log_text(self) -> str:
        return "\n".join(f"--- {name}\n{node.log_text()}" for name, node in self._nodes.items())

    def agents(self) -> Mapping[str, int]:
        """The number of the agent's process on each server."""
        return {name: node.agent.pid for name, node in self._nodes.items()}

    def _serves(self, name: str) -> bool:
        """Whether the service is on a server, and well there."""
        states = {check["state"] for each in self._status(name).get("services", ()) for check in each["health"]}
        return self.hosts.holders() == [name] and states == {"ok"} and not self._failed(name)

    def _failed(self, name: str) -> bool:
        return any(each["failed_here"] for each in self._status(name).get("services", ()))

    def _server_failed(self, name: str) -> bool:
        return any(check["state"] == "failing" for check in self._status(name).get("health", ()))

    def _status(self, name: str) -> Any:
        path = self._nodes[name].folder / "run" / "status.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def _node(self, name: str, folder: Path) -> Node:
        lan = self.hosts.lan
        tables = _tables(lan[GATEWAY].ipv4, self.moves)
        node = Node(lan[name], folder, [self._slapd.uri], tables=tables, folders=("/etc/relocd", "/run"))
        for each in ("/etc/relocd/nginx", _PREFIX):
            node.place(each).mkdir(parents=True)
        own = node.place("/etc/relocd/template-sets/nginx")
        shutil.copytree(shipped_template_sets() / "nginx", own)
        for each in (own, *own.iterdir()):
            each.chmod(each.stat().st_mode & ~0o022)  # a work tree may be open to a group
        manifest = own / "manifest.toml"
        manifest.write_text(manifest.read_text().replace("[[health]]\n", self._check()))
        return node

    def _check(self) -> str:
        """The head of the shipped check, with the numbers of this story."""
        numbers = {"interval_s": INTERVAL_S, "timeout_s": TIMEOUT_S, "fall": FALL, "restarts": self.restarts}
        return "\n".join(["[[health]]", *(f"{key} = {value}" for key, value in numbers.items())]) + "\n"


def _content() -> str:
    proxy = {"content": "proxy", "upstream": _UPSTREAM, "workers": "1"}
    web = service_ldif("web", addresses=[f"{ADDRESS}/24"], template_sets=["nginx"], parameters=proxy)
    pair = cluster_ldif("pair", services=["web"], active="node1", relocFailover="automatic")
    return base_ldif() + web + pair + "".join(server_ldif(name, clusters=["pair"]) for name in NODES)


def _tables(gateway: str, moves: int) -> Tables:
    """What these agents' configurations say beyond the usual."""
    nginx = ["/usr/sbin/nginx", "-e", "stderr", "-p", _PREFIX, "-c", "/etc/relocd/nginx/web.conf"]
    return {
        "guards": {"folders": ["/etc/relocd"], "units": ["relocd-nginx@*.service"]},
        "handover": {"max_health_moves": moves},
        "units": {"timeout_s": 5.0},  # for so long a restart waits for a unit that is killed as soon as it runs
        "[health]": {"ping": gateway, "interval_s": INTERVAL_S, "timeout_s": TIMEOUT_S, "fall": FALL},  # an array
        'units.script."relocd-nginx@web.service"': {
            "start": nginx,
            "stop": ["sh", "-c", _STOP],
            "status": ["sh", "-c", f"grep -q '^State:.[^ZX]' /proc/$(cat {_PID})/status"],
            "reload": [*nginx, "-s", "reload"],
        },
    }


@dataclass(eq=False)
class KeepalivedRival:
    """Two keepalived, VRRP version 3, an advertisement a second as by default."""

    hosts: SickHosts
    advert_s: float = 1.0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(_clear, self.hosts)
            self._folders = {name: self.hosts.folder() for name in NODES}
            self.hosts.nginx_pid = {name: folder / "nginx.pid" for name, folder in self._folders.items()}
            self._daemons: dict[str, Keepalived] = {}
            for name, state in zip(NODES, ("MASTER", "BACKUP"), strict=True):
                stack.callback(_end, self.hosts, name)
                self._start_nginx(name)
                daemon = self._daemon(name)
                self._daemons[name] = stack.enter_context(daemon)
                daemon.wait_until(state)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def is_ready(self) -> bool:
        return self.hosts.holders() == ["node1"]

    def come_back(self) -> None:
        if not self.hosts.nginx("node1"):
            self._start_nginx("node1")
        self._daemons["node1"].wait_until("BACKUP")
        self._daemons["node2"].set_away(True)
        until(self.is_ready, _PATIENCE_S)
        self._daemons["node2"].set_away(False)
        self._daemons["node2"].wait_until("BACKUP")

    def log_text(self) -> str:
        return "\n".join(f"--- {name}\n{daemon.log_text()}" for name, daemon in self._daemons.items())

    def _daemon(self, name: str) -> Keepalived:
        lan, seconds = self.hosts.lan, f"{TIMEOUT_S:g}"
        scripts = {
            "page": f"/usr/bin/curl -sf -o /dev/null -m {seconds} http://127.0.0.1/",
            "gateway": f"/usr/bin/ping -q -c 1 -W {seconds} {lan[GATEWAY].ipv4}",
        }
        checks = {
            each: {
                "script": f'"{argv}"',
                "interval": f"{INTERVAL_S:g}",
                "timeout": seconds,
                "fall": f"{FALL}",
                "rise": "2",
            }
            for each, argv in scripts.items()
        }
        folder = self._folders[name] / "keepalived"
        return Keepalived(lan[name], folder, [f"{ADDRESS}/24"], self.advert_s, Way.ASIDE, checks)

    def _start_nginx(self, name: str) -> None:
        folder = self._folders[name]
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, upstream=_UPSTREAM))
        (folder / "nginx.pid").unlink(missing_ok=True)
        argv = ["/usr/sbin/nginx", "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self.hosts.lan[name].run(argv)


def _end(hosts: SickHosts, name: str) -> None:
    """End the nginx of a server."""
    pids = hosts.nginx(name)
    hosts.signal(name, signal.SIGKILL)
    until(lambda: not _alive(pids))


def _alive(pids: Iterable[int]) -> list[int]:
    return [pid for pid in pids if _state(pid) not in _LOST]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _clear(hosts: SickHosts) -> None:
    """Leave the servers none but their own addresses."""
    for name in hosts.holders():
        hosts.lan[name].run(["ip", "address", "delete", f"{ADDRESS}/24", "dev", hosts.lan[name].interface])
