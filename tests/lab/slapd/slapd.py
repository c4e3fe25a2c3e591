"""A real slapd of our own: temporary folder, configuration, database, and whatever can happen to it.

    with Slapd() as slapd:
        slapd.add(service_ldif("web"))

It is rooted at `SUFFIX`, with the syncprov overlay, and empty but for `content`. Root of this machine is its
administrator over `slapd.ldapi_uri` (SASL EXTERNAL), everyone else with `ROOT_DN` and `PASSWORD`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import quote

from tests.lab.hosts.hosts import Host
from tests.lab.hosts.paused import pause, resume
from tests.lab.slapd.certificates import Certificates, issued
from tests.lab.slapd.ldif import (
    SUFFIX,
    base_ldif,
    cluster_dn,
    cluster_ldif,
    link_ldif,
    server_dn,
    server_ldif,
    service_dn,
    service_ldif,
)

__all__ = [
    "PASSWORD",
    "ROOT_DN",
    "SCHEMA",
    "SUFFIX",
    "Slapd",
    "base_ldif",
    "cluster_dn",
    "cluster_ldif",
    "link_ldif",
    "server_dn",
    "server_ldif",
    "service_dn",
    "service_ldif",
]

ROOT_DN: Final = f"cn=admin,{SUFFIX}"
PASSWORD: Final = "secret"
SCHEMA: Final = Path(__file__).parents[3] / "schema"
_DEBIAN_SCHEMA: Final = Path("/etc/ldap/schema")
_DEADLINE_S: Final = 20.0
# An anonymous bind (RFC 4511, section 4.2): any answer to it means that slapd works.
_BIND: Final = bytes.fromhex("300c020101600702010304008000")
_CLIENT_ENVIRONMENT: Final = os.environ | {"LDAPNOINIT": "1"}  # no settings of the machine's own ldap.conf


@dataclass(kw_only=True, eq=False)
class Slapd:
    """One slapd; it starts and stops with the `with` block and in between as the test wishes.

    `schema` is how it gets relocd's schema: `include` in slapd.conf, or `config`: a slapd.d to which `ldapadd`
    adds the LDIF form; both are in `schema_folder`. `listen` defaults to a free port of the loopback, or to port 389 of
    all addresses of `host`. `global_lines` and `database_lines` are slapd.conf lines (ACLs, limits, a second provider).
    `suffix` is the database's, which may be above relocd's entries.
    """

    schema: Literal["include", "config"] = "include"
    schema_folder: Path = SCHEMA
    host: Host | None = None
    listen: Sequence[str] = ()
    tls: bool = False
    content: str = field(default_factory=base_ldif)
    server_id: int | None = None
    suffix: str = SUFFIX
    max_size: int = 67_108_864
    durable: bool = True
    session_log: int = 10_000
    global_lines: Sequence[str] = ()
    database_lines: Sequence[str] = ()
    log_level: str = "none"
    folder: Path = field(init=False, default=Path())
    certificates: Certificates | None = field(init=False, default=None)
    _process: subprocess.Popen[Any] | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="slapd-"))
        try:
            self._configure()
            self.start()
            if self.schema == "config":
                self.add((self.schema_folder / "relocd.ldif").read_text())
            if self.content:
                self.add(self.content)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    @property
    def uri(self) -> str:
        """The first URI that it listens at."""
        return self.listen[0]

    @property
    def ldaps_uri(self) -> str:
        """The `ldaps://` URI that it listens at when it has certificates."""
        return next(uri for uri in self.listen if uri.startswith("ldaps:"))

    @property
    def ldapi_uri(self) -> str:
        """The URI of its local socket, which works from every network namespace."""
        return "ldapi://" + quote(str(self.folder / "ldapi"), safe="")

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Start and wait until it answers; what slapd itself says is in the error when it does not."""
        argv = ["slapd", "-d", self.log_level, "-h", " ".join((*self.listen, self.ldapi_uri)), *self._config_option()]
        launch = self.host.start if self.host else subprocess.Popen
        with (self.folder / "log").open("ab") as log:
            self._process = launch(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self._await_answer()

    def stop(self) -> None:
        """SIGTERM, and wait until it is gone; also when it is paused."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        process.wait(_DEADLINE_S)
        self._process = None

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        process = self._running()
        process.kill()
        process.wait(_DEADLINE_S)
        self._process = None

    def pause(self) -> None:
        """SIGSTOP, and wait until every thread has stopped: connections are still accepted, and nothing is answered."""
        pause(self.pid)

    def resume(self) -> None:
        resume(self.pid)

    def wipe(self) -> None:
        """Empty the database of a stopped slapd."""
        self._require_stopped("wipe")
        shutil.rmtree(self.folder / "db")
        (self.folder / "db").mkdir()

    def command(self, program: str, *arguments: str) -> list[str]:
        """The argument list of an OpenLDAP client command that works here as administrator."""
        return [program, "-Q", "-Y", "EXTERNAL", "-H", self.ldapi_uri, *arguments]

    def modify(self, ldif: str) -> None:
        """Run the plain `ldapmodify` command."""
        self._client("ldapmodify", ldif)

    def add(self, ldif: str) -> None:
        """Run the plain `ldapadd` command."""
        self._client("ldapadd", ldif)

    def slapadd(self, ldif: Path) -> None:
        """Load a file into the database of a stopped slapd, the fast way."""
        self._require_stopped("slapadd")
        _checked(["slapadd", "-q", "-w", *self._config_option(), "-b", SUFFIX, "-l", str(ldif)], timeout=300)

    def slapcat(self, ldif: Path) -> None:
        """Write the database to a file, as a backup does; slapd may run meanwhile."""
        _checked(["slapcat", *self._config_option(), "-b", SUFFIX, "-l", str(ldif)], timeout=300)

    def log(self) -> str:
        """What slapd has said so far."""
        return (self.folder / "log").read_text(errors="replace")

    def _client(self, program: str, ldif: str) -> None:
        _checked(self.command(program), text=ldif, timeout=_DEADLINE_S)

    def _running(self) -> subprocess.Popen[Any]:
        if self._process is None:
            raise RuntimeError("slapd is stopped; start() it first")
        return self._process

    def _require_stopped(self, action: str) -> None:
        if self._process is not None:
            raise RuntimeError(f"{action} needs a stopped slapd; stop() it first")

    def _configure(self) -> None:
        (self.folder / "db").mkdir()
        if not self.listen:
            self.listen = self._default_listen()
        if self.tls:
            self.certificates = issued(self.folder / "tls", self._names(), server_dn("node1"))
        (self.folder / "slapd.conf").write_text("\n".join(self._lines()) + "\n")
        if self.schema == "config":
            (self.folder / "slapd.d").mkdir()

    def _config_option(self) -> list[str]:
        """slapd.conf, or slapd.d, which the first start makes from slapd.conf when it is given both."""
        conf, folder = self.folder / "slapd.conf", self.folder / "slapd.d"
        if self.schema == "include":
            return ["-f", str(conf)]
        return ["-F", str(folder)] if any(folder.iterdir()) else ["-f", str(conf), "-F", str(folder)]

    def _default_listen(self) -> list[str]:
        if self.host:
            return [f"ldap://{self.host.ipv4}/"] + ["ldaps:///"] * self.tls
        return [f"{kind}://127.0.0.1:{_free_port()}" for kind in ("ldap", "ldaps")[: 1 + self.tls]]

    def _names(self) -> list[str]:
        own = [str(own.ip) for own in self.host.own] if self.host else []
        return ["localhost", "127.0.0.1", "::1", *own]

    def _lines(self) -> list[str]:
        """The slapd.conf; see slapd.conf(5), slapd-mdb(5), slapo-syncprov(5)."""
        schemas = [_DEBIAN_SCHEMA / f"{name}.schema" for name in ("core", "cosine", "nis", "inetorgperson")]
        if self.schema == "include":
            schemas.append(self.schema_folder / "relocd.schema")
        root = "gidNumber=0[+]uidNumber=0,cn=peercred,cn=external,cn=auth"
        return [
            *(f"include {path}" for path in schemas),
            f"pidfile {self.folder}/pid",
            f"argsfile {self.folder}/args",
            "modulepath /usr/lib/ldap",
            "moduleload back_mdb",
            "moduleload syncprov",
            f'authz-regexp "^{root}$" "{ROOT_DN}"',
            *([] if self.server_id is None else [f"serverID {self.server_id}"]),
            *self._tls_lines(),
            *self.global_lines,
            "database config",
            f'rootdn "{ROOT_DN}"',
            "database mdb",
            f'suffix "{self.suffix}"',
            f'rootdn "{ROOT_DN}"',
            f"rootpw {PASSWORD}",
            f"directory {self.folder}/db",
            f"maxsize {self.max_size}",
            *([] if self.durable else ["dbnosync"]),
            "index objectClass,entryUUID,entryCSN eq",
            *self.database_lines,
            "overlay syncprov",
            "syncprov-checkpoint 100 10",
            f"syncprov-sessionlog {self.session_log}",
        ]

    def _tls_lines(self) -> list[str]:
        if not self.certificates:
            return []
        certificate, key = self.certificates.server
        return [
            f"TLSCACertificateFile {self.certificates.ca}",
            f"TLSCertificateFile {certificate}",
            f"TLSCertificateKeyFile {key}",
            "TLSVerifyClient try",
        ]

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while not _answers(self.folder / "ldapi"):
            code = self._running().poll()
            if code is not None:
                self._process = None
                raise RuntimeError(f"slapd ended with {code}:\n{self.log()[-4000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"slapd does not answer after {_DEADLINE_S:g} s:\n{self.log()[-4000:]}")
            time.sleep(0.002)

    def _remove(self) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
            client.sendall(_BIND)
            return bool(client.recv(64))
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _checked(argv: Sequence[str], *, timeout: float, text: str = "") -> None:
    """Run a command to its successful end; its own words are in the error."""
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=timeout, check=False, env=_CLIENT_ENVIRONMENT
    )
    if done.returncode:
        raise RuntimeError(f"{argv[0]} failed with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
