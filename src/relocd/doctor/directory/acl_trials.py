"""Trials that show what an identity may do, without changing anything. Pure.

slapd checks the access rules for every change of a modify before it makes the first. So each modify here contains, next
to the change to try, the deletion of a value that no entry has: it cannot be carried out. The answer tells:

- `insufficientAccessRights` (50): the identity may not do that.
- `noSuchAttribute` (16): it may, and nothing is changed, since a modify is done whole or not at all (RFC 4511, 4.6).

What does not work, tried with slapd 2.5.13: an assertion that never matches (RFC 4528) is checked *before* the
access rules and answers `assertionFailed` to every identity, and the No-Op control is compiled out. So the right to
create an entry (its `cn=status`, a first `cn=state`) cannot be tried.

Secrets and passwords are compared with a value that no entry has: `insufficientAccessRights`, or another answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Server, Service, ServiceState
from relocd.model.writes import Add, Delete, Modification, Replace

__all__ = ["Act", "Compare", "Known", "Trial", "Tried", "trials"]

_T = TypeVar("_T")

_TEXT: Final = b"relocd-doctor=asks, and changes nothing"
_TIME: Final = b"19700101000000Z"


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison of an attribute (RFC 4511, section 4.10) with a value that it never has."""

    dn: DN
    attribute: str
    value: bytes = _TEXT


class Act(StrEnum):
    """What a server does in the directory; from `ADD_OWN_LINK` on what it must not do."""

    WRITE_STATUS = "write-status"
    DELETE_OWN_LINK = "delete-own-link"
    READ_SECRETS = "read-secrets"
    WRITE_STATE = "write-state"
    ADD_OWN_LINK = "add-own-link"
    READ_PASSWORDS = "read-passwords"
    ADD_OTHER_LINK = "add-other-link"
    WRITE_OTHER_STATUS = "write-other-status"
    CHANGE_SERVICE = "change-service"
    READ_OTHER_SECRETS = "read-other-secrets"
    WRITE_OTHER_STATE = "write-other-state"


_NEEDED: Final = frozenset({Act.WRITE_STATUS, Act.DELETE_OWN_LINK, Act.READ_SECRETS, Act.WRITE_STATE})
_CLAUSES: Final[Mapping[Act, str]] = {
    Act.WRITE_STATUS: "write its status",
    Act.DELETE_OWN_LINK: "delete a link and the fence of its own",
    Act.READ_SECRETS: "read the secrets of {service}, which it is linked to",
    Act.WRITE_STATE: "write the state of {service}, which it is linked to",
    Act.ADD_OWN_LINK: "add a link to itself",
    Act.READ_PASSWORDS: "read passwords",
    Act.ADD_OTHER_LINK: "add a link to {server}",
    Act.WRITE_OTHER_STATUS: "write the status of {server}",
    Act.CHANGE_SERVICE: "change the service {service}",
    Act.READ_OTHER_SECRETS: "read the secrets of {service}, which it is not linked to",
    Act.WRITE_OTHER_STATE: "write the state of {service}, which it is not linked to",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """An act, the request that tries it, and the other server or the service that it is about; as text a clause."""

    act: Act
    way: Modification | Compare
    server: str = ""
    service: str = ""

    @property
    def allowed(self) -> bool:
        """Whether it must be allowed."""
        return self.act in _NEEDED

    def __str__(self) -> str:
        return _CLAUSES[self.act].format(server=self.server, service=self.service)


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of a trial; `allowed` is None when the answer does not show it, and then `answer` says why."""

    trial: Trial
    allowed: bool | None
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """The entries that trials need; `statuses` are the keys of servers that have a status."""

    servers: tuple[Server, ...]
    services: tuple[Service, ...]
    states: tuple[ServiceState, ...]
    linked: frozenset[str]
    statuses: frozenset[str]


def trials(me: Server, known: Known, *, is_me: bool) -> Iterator[Trial]:
    """The acts that a server needs, and, when that server is bound (`is_me`), those that it must not do."""
    yield from _own(me, known)
    yield from _of_linked(known)
    if is_me:
        yield from _of_others(me, known)
        yield from _of_services(me, known)


def _own(me: Server, known: Known) -> Iterator[Trial]:
    if me.dn.key in known.statuses:
        changes = (Replace(names.HEARTBEAT, (_TIME,)), Delete(names.PROBLEM, (_TEXT,)))
        yield Trial(Act.WRITE_STATUS, Modification(me.dn.below(names.STATUS_RDN), changes))
    missing = _missing(me)
    fence = (Delete(names.FENCED, (b"TRUE",)), Delete(names.SERVICE_LINK, (missing,)))
    yield Trial(Act.DELETE_OWN_LINK, Modification(me.dn, fence))


def _of_linked(known: Known) -> Iterator[Trial]:
    for service in known.services:
        if service.dn.key in known.linked:
            yield Trial(Act.READ_SECRETS, Compare(service.dn, names.SECRET), service=service.name)
    for state in known.states:
        if state.service.key in known.linked:
            yield Trial(Act.WRITE_STATE, Modification(state.dn, _claim(state)), service=state.service.name)


def _claim(state: ServiceState) -> tuple[Replace | Delete, ...]:
    missing = state.dn.below("cn=relocd-doctor").text.encode()
    return Replace(names.CANDIDATE, (missing,)), Delete(names.PREVIOUS, (missing,))


def _of_others(me: Server, known: Known) -> Iterator[Trial]:
    missing, other = _missing(me), DN.parse(_missing(me).decode()).below("cn=other").text.encode()
    added = (Add(names.SERVICE_LINK, (missing,)), Delete(names.SERVICE_LINK, (other,)))
    yield Trial(Act.ADD_OWN_LINK, Modification(me.dn, added))
    yield Trial(Act.READ_PASSWORDS, Compare(me.dn, "userPassword"))
    for server in _first(each for each in known.servers if each.dn != me.dn):
        yield Trial(Act.ADD_OTHER_LINK, Modification(server.dn, added), server.name)
        if server.dn.key in known.statuses:
            lie = Modification(server.dn.below(names.STATUS_RDN), (Delete(names.PROBLEM, (_TEXT,)),))
            yield Trial(Act.WRITE_OTHER_STATUS, lie, server.name)


def _of_services(me: Server, known: Known) -> Iterator[Trial]:
    for service in _first(known.services):
        change = Modification(service.dn, (Delete(names.PARAMETER, (_TEXT,)),))
        yield Trial(Act.CHANGE_SERVICE, change, service=service.name)
    for service in _first(each for each in known.services if each.dn.key not in known.linked):
        yield Trial(Act.READ_OTHER_SECRETS, Compare(service.dn, names.SECRET), service=service.name)
    for state in _first(each for each in known.states if _is_foreign(each, me, known)):
        yield Trial(Act.WRITE_OTHER_STATE, Modification(state.dn, _claim(state)), service=state.service.name)


def _is_foreign(state: ServiceState, me: Server, known: Known) -> bool:
    """Whether a service does not concern a server; its holder, candidate and previous holder may write its state."""
    return state.service.key not in known.linked and me.dn not in {state.holder, state.candidate, state.previous}


def _missing(me: Server) -> bytes:
    """The name of a service that does not exist."""
    return me.dn.below("cn=relocd-doctor").text.encode()


def _first(found: Iterable[_T]) -> Iterator[_T]:
    """The first one: the rules treat all of them alike."""
    yield from list(found)[:1]
