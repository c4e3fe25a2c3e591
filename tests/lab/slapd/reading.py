"""What the laboratory's directory says now, in short names: states of services, links of servers, heartbeats."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import ldap
from ldap import sasl

from tests.lab.slapd.ldif import server_dn, state_dn
from tests.lab.slapd.slapd import Slapd

__all__ = ["State", "attributes", "heartbeat_ns", "links", "state"]

_OFFSET_NS: Final = time.monotonic_ns() - time.time_ns()
_DEADLINE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class State:
    """The state entry of a service, servers by their short names; generation 0 where there is no entry."""

    holder: str = ""
    candidate: str = ""
    previous: str = ""
    generation: int = 0


def attributes(slapd: Slapd, dn: str) -> Mapping[str, list[str]]:
    """An entry's attributes; empty where there is no such entry."""
    connection = ldap.initialize(slapd.ldapi_uri)
    connection.set_option(ldap.OPT_TIMEOUT, _DEADLINE_S)
    try:
        connection.sasl_interactive_bind_s("", sasl.external())
        found = connection.search_s(dn, ldap.SCOPE_BASE)
    except ldap.NO_SUCH_OBJECT:
        return {}
    finally:
        connection.unbind_s()
    return {name: [value.decode() for value in values] for name, values in found[0][1].items()}


def state(slapd: Slapd, service: str) -> State:
    """The state of a service."""
    found = attributes(slapd, state_dn(service))
    names = (_short(found.get(name, [""])[0]) for name in ("relocHolder", "relocCandidate", "relocPrevious"))
    return State(*names, generation=int(found.get("relocGeneration", ["0"])[0]))


def links(slapd: Slapd, server: str) -> frozenset[str]:
    """The services that a server links to directly."""
    return frozenset(map(_short, attributes(slapd, server_dn(server)).get("relocServiceLink", ())))


def heartbeat_ns(slapd: Slapd, server: str) -> int:
    """When a server sent the last heartbeat that the directory has, by CLOCK_MONOTONIC."""
    stamp = attributes(slapd, f"cn=status,{server_dn(server)}")["relocHeartbeat"][0]
    sent = datetime.strptime(stamp, "%Y%m%d%H%M%S.%fZ").replace(tzinfo=UTC)
    return int(sent.replace(microsecond=0).timestamp()) * 10**9 + sent.microsecond * 1000 + _OFFSET_NS


def _short(dn: str) -> str:
    return dn.partition(",")[0].partition("=")[2]
