"""An LDAP client at work: `python -m tests.lab.slapd.ldap_client --output FILE [--write] ldap://192.0.2.10 ...`

It reads an entry, or adds one entry after the other, every few milliseconds over one connection. When that fails it
asks the next URI, from the first one on, as a program does that has them from ldap.conf. Each attempt is one line of
the output, at once. `ready` on its standard output says that it begins. SIGTERM ends it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import ldap
from ldap.ldapobject import SimpleLDAPObject

from tests.lab.hosts.base_server import ADMIN, DATA
from tests.lab.slapd.slapd import PASSWORD

__all__ = ["TIMEOUT_S", "Attempt", "attempts", "main"]

TIMEOUT_S: Final = 0.2
"""How long the client waits for a connection or an answer before it asks elsewhere."""
EAGER_S: Final = 0.02
"""How long one waits for a connection that is to notice at once that it can be made."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One question, by CLOCK_MONOTONIC; `done_ns` is None when there was no answer, `name` the entry that was added."""

    sent_ns: int
    done_ns: int | None
    name: str = ""


def attempts(output: Path) -> list[Attempt]:
    """What a client has done so far."""
    whole = output.read_text()
    return [Attempt(*json.loads(line)) for line in whole[: whole.rfind("\n") + 1].splitlines()]


class Client:
    """One client with at most one connection."""

    def __init__(self, uris: Sequence[str], prefix: str, connect_s: float) -> None:
        self._uris = uris
        self._connect_s = connect_s
        self._prefix = prefix
        self._connection: SimpleLDAPObject | None = None

    def attempt(self, number: int) -> Attempt:
        """Ask over the connection there is, or those that can be made; what came of it."""
        sent_ns = time.monotonic_ns()
        name = f"{self._prefix}{number:06}" if self._prefix else ""
        for uri in self._uris:
            try:
                self._ask(uri, name)
            except ldap.LDAPError:
                self._connection = None
            else:
                return Attempt(sent_ns, time.monotonic_ns(), name)
        return Attempt(sent_ns, None, name)

    def _ask(self, uri: str, name: str) -> None:
        if self._connection is None:
            self._connection = _connected(uri, self._connect_s, bound=bool(name))
        if name:
            self._connection.add_s(f"cn={name},{DATA}", [("objectClass", [b"person"]), ("sn", [b"x"])])
        else:
            self._connection.search_s(DATA, ldap.SCOPE_BASE, attrlist=["o"])


def main() -> None:
    """Work until a signal."""
    chosen = _arguments().parse_args()
    client = Client(chosen.uris, chosen.write, EAGER_S if chosen.eager else TIMEOUT_S)
    with chosen.output.open("w", buffering=1) as output:
        print("ready", flush=True)
        for number in count():
            done = client.attempt(number)
            output.write(json.dumps([done.sent_ns, done.done_ns, done.name]) + "\n")
            time.sleep(max(0.0, chosen.interval_ms / 1e3 - (time.monotonic_ns() - done.sent_ns) / 1e9))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="read or write in a directory all the time and note what came of it")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--interval-ms", type=float, default=5.0)
    parser.add_argument("--write", default="", metavar="PREFIX", help="add entries whose names begin so")
    parser.add_argument("--eager", action="store_true", help="do not wait long for a connection")
    parser.add_argument("uris", nargs="+", help="asked in order")
    return parser


def _connected(uri: str, connect_s: float, *, bound: bool) -> SimpleLDAPObject:
    connection = ldap.initialize(uri)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, connect_s)
    connection.set_option(ldap.OPT_TIMEOUT, TIMEOUT_S)
    connection.set_option(ldap.OPT_REFERRALS, ldap.OPT_OFF)
    connection.simple_bind_s(*((ADMIN, PASSWORD) if bound else ("", "")))
    return connection


if __name__ == "__main__":
    main()
