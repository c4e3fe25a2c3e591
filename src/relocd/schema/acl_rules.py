"""Who may do what in the directory, as access rules of OpenLDAP (slapd.access(5)); `relocd.schema.acl` writes them.

Three things are easy to break here:

- A set is evaluated for every bound identity. These rules protect only entries below the suffix, so only an identity
  below it counts as a server: elsewhere a user may be allowed to write `relocServiceLink` into their own entry.
- The attributes of a new entry are checked only with `add_content_acl`. Without it a server could give its status entry
  a password, or the user number 0 for hosts whose accounts are in the directory.
- DNs are given to slapd only as DN patterns, which it normalises; in a regular expression or a set it compares them as
  text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from relocd.errors import Invalid
from relocd.model import names
from relocd.model.dn import DN
from relocd.schema.definitions import CLASSES

__all__ = ["Roles", "AccessRule", "plain", "quoted", "rules", "server"]

# An escape in hexadecimal, which may stay, any other escape, or a character beyond ASCII.
_SPECIAL: Final = re.compile(r"\\([0-9A-Fa-f]{2})|\\.|[^\x00-\x7f]")


def quoted(name: str) -> str:
    """A DN as it is written in a rule."""
    return f'"{plain(name)}"'


def plain(name: str) -> str:
    """The same DN in ASCII, special characters in hexadecimal (RFC 4514 section 2.4), for LDIF and slapd."""
    return _SPECIAL.sub(lambda match: match[0] if match[1] else _hexadecimal(match[0].removeprefix("\\")), name)


def _hexadecimal(character: str) -> str:
    return "".join(f"\\{byte:02X}" for byte in character.encode())


def _require_name(role: str, name: str, *, may_be_empty: bool) -> None:
    if not name.strip() and not may_be_empty:
        raise Invalid(f"the access rules need the DN of an entry as {role}, such as ou=relocd,dc=example,dc=org")
    if not name.isprintable():
        raise Invalid(f"{name!r} ({role}) is not the DN of an entry: it must be one line of printable characters")
    DN.parse(name)
    if '"' in plain(name):
        raise Invalid(f"{name} ({role}): slapd's configuration cannot have a DN in quotes; write \\2C for a comma")


@dataclass(frozen=True, slots=True)
class Roles:
    """The identities in the rules; each DN but the suffix is a group (`groupOfNames`) or a single entry.

    `database` is the entry of the database in cn=config, for the LDIF form. Raises `Invalid` for text that is no DN.
    """

    suffix: str
    administrators: str
    triggers: str = ""
    database: str = "olcDatabase={1}mdb,cn=config"

    def __post_init__(self) -> None:
        for role in ("suffix", "administrators", "triggers", "database"):
            _require_name(role, getattr(self, role), may_be_empty=role == "triggers")


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One access directive: its reason, what it protects, and who may do what, first match first."""

    why: str
    what: str
    by: tuple[str, ...]


# Privileges (slapd.access(5)): a adds, z deletes, the rest is those of the level `read`.
_ADD: Final = "=arscxd"
_DELETE: Final = "=zrscxd"
_ADD_AND_DELETE: Final = "=azrscxd"
_GO_ON: Final = "* break"

# The bound identity is the parent of the entry.
_MY_CHILD: Final = "self.level{-1}"

_LINKED: Final = "(user/relocServiceLink | user/relocClusterLink/relocServiceLink)"
# A DN as one match. A bracket would end a literal of the set early: no rule applies to such a DN.
_A_NAME: Final = 'val.regex="^([^][]+)$"'


def rules(roles: Roles) -> tuple[AccessRule, ...]:
    """The access directives in their order, each about something below the suffix."""
    return (
        AccessRule("Administrators do everything.", "", (*_members(roles.administrators, "write"), _GO_ON)),
        AccessRule("Passwords are for binding.", "attrs=userPassword", ("anonymous auth", "* none")),
        AccessRule(
            "Secrets are for the servers that are linked to the service, directly or through a cluster.",
            "attrs=relocSecret",
            (f'{server(roles)} set="{_LINKED} & this" read', "* none"),
        ),
        *_trigger_rules(roles),
        *_link_rules(roles),
        *_status_rules(roles),
        *_state_rules(roles),
        *_history_rules(roles),
        AccessRule("Every identity reads the rest.", "", ("users read", "* none")),
    )


def _trigger_rules(roles: Roles) -> Iterator[AccessRule]:
    if roles.triggers:
        yield AccessRule(
            "Triggers move services by links, by the active member of a cluster and by a fence, and do no more. They "
            "need an identity of their own: a server that could add links could read every secret.",
            "attrs=relocServiceLink,relocActive,relocFenced",
            (*_members(roles.triggers, "write"), _GO_ON),
        )


def _link_rules(roles: Roles) -> Iterator[AccessRule]:
    below = server(roles)
    yield AccessRule(
        "A server deletes its own links and its own fence, and adds none.",
        "attrs=relocServiceLink,relocFenced",
        (f"self {_DELETE}", _GO_ON),
    )
    state = "[cn=state,${v1}]"
    yield AccessRule(
        "The holder deletes the link of the previous one, and the candidate that of a dead holder.",
        f"attrs=relocServiceLink {_A_NAME}",
        (
            f'{below} set.expand="({state}/relocHolder & user) + ({state}/relocPrevious & this)" {_DELETE}',
            f'{below} set.expand="({state}/relocCandidate & user) + ({state}/relocHolder & this)" {_DELETE}',
            _GO_ON,
        ),
    )
    yield AccessRule(
        "The active server of a cluster may make another member active, as when it is drained.",
        f'filter="(objectClass=relocCluster)" attrs=relocActive {_A_NAME}',
        (
            f'{below} dnattr=relocActive set.expand="[${{v1}}]/relocClusterLink & this" {_ADD_AND_DELETE}',
            _GO_ON,
        ),
    )
    yield AccessRule(
        "A member of a cluster with automatic failover makes itself, and no other member, active.",
        f'filter="(&(objectClass=relocCluster)(relocFailover=automatic))" attrs=relocActive {_A_NAME}',
        (
            f'{below} set.expand="([${{v1}}] & user)/relocClusterLink & this" {_ADD_AND_DELETE}',
            f'{below} set="user/relocClusterLink & this" {_DELETE}',
            _GO_ON,
        ),
    )


def _status_rules(roles: Roles) -> Iterator[AccessRule]:
    yield AccessRule(
        "A server creates and writes its own status, cn=status below its entry.",
        'filter="(objectClass=relocServer)" attrs=children',
        (f"self {_ADD}", _GO_ON),
    )
    yield from _created(roles, names.STATUS_CLASS, "status", (f"{_MY_CHILD} {_named('status')} {_ADD}", _GO_ON))
    yield AccessRule("", _attributes_of(names.STATUS_CLASS), (f"{_MY_CHILD} write", _GO_ON))


def _state_rules(roles: Roles) -> Iterator[AccessRule]:
    linked = f'{server(roles)} set="{_LINKED} & '
    yield AccessRule(
        "A linked server creates and writes the state and the history, cn=state and cn=history below the service. A "
        "server that has lost its link is still the holder until it has handed over, and a candidate until it has "
        "withdrawn.",
        'filter="(objectClass=relocService)" attrs=children',
        (f'{linked}this" {_ADD}', _GO_ON),
    )
    yield from _created(roles, names.STATE_CLASS, "state", _below_a_service(roles, "state"))
    yield AccessRule(
        "",
        _attributes_of(names.STATE_CLASS),
        (f"{server(roles)} dnattr=relocHolder write", f'{linked}this/-1" write', _GO_ON),
    )
    yield AccessRule(
        "",
        'filter="(objectClass=relocServiceState)" attrs=relocCandidate',
        (f"{server(roles)} dnattr=relocCandidate {_DELETE}", _GO_ON),
    )


def _history_rules(roles: Roles) -> Iterator[AccessRule]:
    yield from _created(roles, names.HISTORY_CLASS, "history", _below_a_service(roles, "history"))
    state = "([cn=state,] + this/-1)"
    yield AccessRule(
        "Whoever has changed the state last, such as a holder that has released the service, writes the history too.",
        _attributes_of(names.HISTORY_CLASS),
        (
            f'{server(roles)} set="{_LINKED} & this/-1" write',
            f'{server(roles)} set="({state}/relocHolder | {state}/modifiersName) & user" write',
            _GO_ON,
        ),
    )


def _created(roles: Roles, object_class: str, name: str, by: tuple[str, ...]) -> Iterator[AccessRule]:
    """Create an entry of that class and name, where its parent allows it, with attributes of the class only.

    The rule on `children` of the parent says who may. It is evaluated for writes only. These are evaluated for each
    entry that is read, so none of them has a set that looks up other entries.
    """
    of_class = f'filter="(objectClass={object_class})"'
    yield AccessRule("", f"{of_class} attrs=entry", by)
    for what in (f"attrs=objectClass val={object_class}", f"attrs=cn val={name}"):
        yield AccessRule("", f"{of_class} {what}", (f"{server(roles)} {_ADD}", _GO_ON))


def _below_a_service(roles: Roles, name: str) -> tuple[str, ...]:
    """Servers create an entry of that name, but not below their own entries."""
    return f"{_MY_CHILD} read", f"{server(roles)} {_named(name)} {_ADD}", _GO_ON


def _named(name: str) -> str:
    """The first RDN of the entry is just this: slapd adds the naming attribute without evaluating its rule."""
    return f'set="([cn={name},] + this/-1) & this"'


def _attributes_of(object_class: str) -> str:
    names = ",".join(name for each in CLASSES if each.name == object_class for name in each.may)
    return f'filter="(objectClass={object_class})" attrs={names}'


def server(roles: Roles) -> str:
    """Every identity below the suffix, as it is written in a rule."""
    return f"dn.children={quoted(roles.suffix)}"


def _members(name: str, level: str) -> tuple[str, str]:
    """The members of a group, or that entry itself where it is not a group."""
    return f"group.exact={quoted(name)} {level}", f"dn.exact={quoted(name)} {level}"
