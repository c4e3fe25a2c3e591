"""The access rules for OpenLDAP: the one source of `schema/relocd-acl.conf` and `schema/relocd-acl.ldif`.

Who may do what below the suffix stands here once, as slapd.access(5) says it; both forms that OpenLDAP reads are
generated from it. `python -m relocd.acl FOLDER` writes them for the example suffix.

Three things are easy to break here:

- A set is evaluated for whoever is bound. Only what lies below the suffix is under these rules, so only a name below
  it counts as a server: elsewhere someone may be allowed to write `relocServiceLink` into his own entry.
- What a server creates is checked attribute by attribute only with `add_content_acl`. Without it a server could give
  its status entry a password, or the user number 0 for hosts whose accounts are in the directory.
- Names reach slapd only as DN patterns, which it normalises, and never within a regular expression or a set, where it
  would compare them as text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.schema import CLASSES, FORMS, Form

__all__ = ["EXAMPLE", "FILES", "Access", "Rule", "rules", "text", "write"]

FILES: Final[dict[Form, str]] = {"schema": "relocd-acl.conf", "ldif": "relocd-acl.ldif"}


# An escape in hexadecimal, which may stay, any other escape, or a character beyond ASCII.
_SPECIAL: Final = re.compile(r"\\([0-9A-Fa-f]{2})|\\.|[^\x00-\x7f]")


def _plain(name: str) -> str:
    """The same name in ASCII, with hexadecimal for what is special (RFC 4514 section 2.4): LDIF and slapd take that."""
    return _SPECIAL.sub(lambda match: match[0] if match[1] else _hexadecimal(match[0].removeprefix("\\")), name)


def _hexadecimal(character: str) -> str:
    return "".join(f"\\{byte:02X}" for byte in character.encode())


def _require_name(role: str, name: str, *, may_be_empty: bool) -> None:
    if not name.strip() and not may_be_empty:
        raise Invalid(f"the access rules need the name of an entry as {role}, such as ou=relocd,dc=example,dc=org")
    if not name.isprintable():
        raise Invalid(f"{name!r} ({role}) is not the name of an entry: it must be one line of printable characters")
    DN.parse(name)
    if '"' in _plain(name):
        raise Invalid(
            f"{name} ({role}): slapd's configuration has no place for a name in quotes; write \\2C for a comma"
        )


@dataclass(frozen=True, slots=True)
class Access:
    """Whom the rules are for; each name but the suffix is a group (`groupOfNames`) or the one entry that may.

    `database` is the entry of the database in cn=config, for the LDIF form. Raises `Invalid` for a name that is none.
    """

    suffix: str
    administrators: str
    triggers: str = ""
    database: str = "olcDatabase={1}mdb,cn=config"

    def __post_init__(self) -> None:
        for role in ("suffix", "administrators", "triggers", "database"):
            _require_name(role, getattr(self, role), may_be_empty=role == "triggers")


EXAMPLE: Final = Access(
    suffix="ou=relocd,dc=example,dc=org",
    administrators="cn=admins,ou=relocd,dc=example,dc=org",
    triggers="cn=triggers,ou=relocd,dc=example,dc=org",
)
"""What the shipped files are made for."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One access directive: why it is there, what it is about, and who may do what, first match first."""

    why: str
    what: str
    by: tuple[str, ...]


# Privileges (slapd.access(5)): a adds, z deletes, the rest is what the level `read` stands for.
_ADD: Final = "=arscxd"
_DELETE: Final = "=zrscxd"
_ADD_AND_DELETE: Final = "=azrscxd"
_GO_ON: Final = "* break"

# Counted from the entry: who is bound is its parent.
_MY_CHILD: Final = "self.level{-1}"

_LINKED: Final = "(user/relocServiceLink | user/relocClusterLink/relocServiceLink)"
# A DN as one match. Brackets would end a literal of the set early: no rule applies to such a name.
_A_NAME: Final = 'val.regex="^([^][]+)$"'


def rules(access: Access) -> tuple[Rule, ...]:
    """The access directives in their order, each about something below the suffix."""
    return (
        Rule("Administrators do everything.", "", (*_members(access.administrators, "write"), _GO_ON)),
        Rule("Passwords are for binding.", "attrs=userPassword", ("anonymous auth", "* none")),
        Rule(
            "Secrets are for the servers that are linked to the service, directly or through a cluster.",
            "attrs=relocSecret",
            (f'{_server(access)} set="{_LINKED} & this" read', "* none"),
        ),
        *_trigger_rules(access),
        *_link_rules(access),
        *_status_rules(access),
        *_state_rules(access),
        Rule("Everyone who has an identity reads the rest.", "", ("users read", "* none")),
    )


def _trigger_rules(access: Access) -> Iterator[Rule]:
    if access.triggers:
        yield Rule(
            "Triggers move services: by links, by the active member of a cluster, by a fence. Nothing else.",
            "attrs=relocServiceLink,relocActive,relocFenced",
            (*_members(access.triggers, "write"), _GO_ON),
        )


def _link_rules(access: Access) -> Iterator[Rule]:
    server = _server(access)
    yield Rule(
        "A server deletes links and the fence of its own, and adds none.",
        "attrs=relocServiceLink,relocFenced",
        (f"self {_DELETE}", _GO_ON),
    )
    state = "[cn=state,${v1}]"
    yield Rule(
        "The holder deletes the link of the previous one, and the candidate that of a dead holder.",
        f"attrs=relocServiceLink {_A_NAME}",
        (
            f'{server} set.expand="({state}/relocHolder & user) + ({state}/relocPrevious & this)" {_DELETE}',
            f'{server} set.expand="({state}/relocCandidate & user) + ({state}/relocHolder & this)" {_DELETE}',
            _GO_ON,
        ),
    )
    yield Rule(
        "A member makes itself, and nobody else, the active one of a cluster that fails over by itself.",
        f'filter="(&(objectClass=relocCluster)(relocFailover=automatic))" attrs=relocActive {_A_NAME}',
        (
            f'{server} set.expand="([${{v1}}] & user)/relocClusterLink & this" {_ADD_AND_DELETE}',
            f'{server} set="user/relocClusterLink & this" {_DELETE}',
            _GO_ON,
        ),
    )


def _status_rules(access: Access) -> Iterator[Rule]:
    yield Rule(
        "A server creates and writes its own status, cn=status below its entry.",
        'filter="(objectClass=relocServer)" attrs=children',
        (f"self {_ADD}", _GO_ON),
    )
    yield from _created(access, "relocServerStatus", "status", (f"{_MY_CHILD} {_named('status')} {_ADD}", _GO_ON))
    yield Rule("", _attributes_of("relocServerStatus"), (f"{_MY_CHILD} write", _GO_ON))


def _state_rules(access: Access) -> Iterator[Rule]:
    linked = f'{_server(access)} set="{_LINKED} & '
    yield Rule(
        "A linked server creates and writes the state, cn=state below the service. Who has lost its link is still the"
        "\n# holder until it has handed over, and a candidate until it has withdrawn.",
        'filter="(objectClass=relocService)" attrs=children',
        (f'{linked}this" {_ADD}', _GO_ON),
    )
    by = (f"{_MY_CHILD} read", f"{_server(access)} {_named('state')} {_ADD}", _GO_ON)
    yield from _created(access, "relocServiceState", "state", by)
    yield Rule(
        "",
        _attributes_of("relocServiceState"),
        (f"{_server(access)} dnattr=relocHolder write", f'{linked}this/-1" write', _GO_ON),
    )
    yield Rule(
        "",
        'filter="(objectClass=relocServiceState)" attrs=relocCandidate',
        (f"{_server(access)} dnattr=relocCandidate {_DELETE}", _GO_ON),
    )


def _created(access: Access, object_class: str, name: str, by: tuple[str, ...]) -> Iterator[Rule]:
    """Create an entry of that class and name, where its parent allows it, with nothing that is not of the class.

    The rule on the parent's `children` asks who may. It is looked at for writing only, these for each entry that is
    read: none of them has a set that looks anything up.
    """
    of_class = f'filter="(objectClass={object_class})"'
    yield Rule("", f"{of_class} attrs=entry", by)
    for what in (f"attrs=objectClass val={object_class}", f"attrs=cn val={name}"):
        yield Rule("", f"{of_class} {what}", (f"{_server(access)} {_ADD}", _GO_ON))


def _named(name: str) -> str:
    """The entry has just this first RDN: slapd adds the naming attribute itself, and does not ask its own rule then."""
    return f'set="([cn={name},] + this/-1) & this"'


def _attributes_of(object_class: str) -> str:
    names = ",".join(name for each in CLASSES if each.name == object_class for name in each.may)
    return f'filter="(objectClass={object_class})" attrs={names}'


def _server(access: Access) -> str:
    return f"dn.children={_quoted(access.suffix)}"


def _members(name: str, level: str) -> tuple[str, str]:
    """The members of a group; or that entry itself, which then is no group and has none."""
    return f"group.exact={_quoted(name)} {level}", f"dn.exact={_quoted(name)} {level}"


_HEADER: Final = """\
# The access rules of relocd for OpenLDAP (slapd.access(5)): what is below {suffix}.
# Generated from src/relocd/acl.py; for your own names: relocd schema --acl --suffix DN ...
#
"""
_CONF_USE: Final = """\
# slapd.conf: include this file in the section of the database, before other access rules.
"""
_LDIF_USE: Final = """\
# cn=config: ldapmodify -Y EXTERNAL -H ldapi:/// -f relocd-acl.ldif
# The name of your database: ldapsearch -Y EXTERNAL -H ldapi:/// -b cn=config '(olcSuffix=*)' olcSuffix
# The rules go before those that are there. After an update of relocd delete the former ones first.
"""
_CONTENT: Final = "# What a server creates is checked attribute by attribute, not only as an entry."
_LIMITS: Final = "# Agents, and who else has its entry here, read everything at once; the usual limit is 500 entries."
_INDEX: Final = """\
# An index of its own for each of these is needed, too; it is not set here, since setting one twice is an error:
# {index} objectClass,entryUUID,entryCSN eq
"""


def text(form: Form, access: Access = EXAMPLE) -> str:
    """The access rules in the form of slapd.conf (`schema`) or of cn=config (`ldif`), with the limits they need."""
    header = _HEADER.format(suffix=_plain(access.suffix))
    return header + (_slapd_conf(access) if form == "schema" else _cn_config(access))


def _slapd_conf(access: Access) -> str:
    """Directives of slapd.conf(5): an indented line continues the one before, a backslash within quotes is doubled."""
    limits = "".join(f"limits {each}\n" for each in _limits(access))
    index = _INDEX.format(index="index")
    directives = "".join(f"\n{_comment(each)}access {_directive(each, access, '    ')}\n" for each in rules(access))
    own = f"\n{_CONTENT}\nadd_content_acl on\n\n{_LIMITS}\n{limits}{index}{directives}"
    return _CONF_USE + own.replace("\\", "\\\\")


def _cn_config(access: Access) -> str:
    """One modify in LDIF (RFC 2849): one space continues a line, a second one separates the words.

    Unlike in slapd.conf a backslash stands for itself: slapd reads these values by another way.
    """
    limits = "".join(f"olcLimits: {{{at}}}{each}\n" for at, each in enumerate(_limits(access)))
    index = _INDEX.format(index="olcDbIndex:")
    values = "".join(
        f"{_comment(each)}olcAccess: {{{at}}}{_directive(each, access, '  ')}\n"
        for at, each in enumerate(rules(access))
    )
    return (
        f"{_LDIF_USE}dn: {_plain(access.database)}\nchangetype: modify\n"
        f"{_CONTENT}\nreplace: olcAddContentAcl\nolcAddContentAcl: TRUE\n-\n"
        f"{_LIMITS}\nadd: olcLimits\n{limits}-\n{index}add: olcAccess\n{values}-\n"
    )


def _limits(access: Access) -> tuple[str, ...]:
    """Who may read without a limit, in the words of both forms."""
    administrators = _quoted(access.administrators)
    who = (_server(access), f"group={administrators}", f"dn.exact={administrators}")
    return tuple(f"{each} size=unlimited" for each in who)


def _comment(rule: Rule) -> str:
    return f"# {rule.why}\n" if rule.why else ""


def _directive(rule: Rule, access: Access, indent: str) -> str:
    what = " ".join(filter(None, (f"to dn.subtree={_quoted(access.suffix)}", rule.what)))
    return "".join((what, *(f"\n{indent}by {each}" for each in rule.by)))


def _quoted(name: str) -> str:
    return f'"{_plain(name)}"'


def write(folder: Path) -> None:
    """Write `relocd-acl.conf` and `relocd-acl.ldif` into a folder."""
    for form in FORMS:
        (folder / FILES[form]).write_text(text(form), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m relocd.acl FOLDER")
    write(Path(sys.argv[1]))
