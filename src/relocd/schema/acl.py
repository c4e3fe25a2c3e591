"""The access rules for OpenLDAP in both forms: the source of `schema/relocd-acl.conf` and `schema/relocd-acl.ldif`.

`./dev schema` writes them for the example suffix. The rules themselves are in `relocd.schema.acl_rules`.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import Final

from relocd.schema.acl_rules import AccessRule, Roles, plain, quoted, rules, server
from relocd.schema.definitions import FORMS, Form

__all__ = ["EXAMPLE", "FILES", "Roles", "access", "limits", "text", "write"]

FILES: Final[dict[Form, str]] = {"schema": "relocd-acl.conf", "ldif": "relocd-acl.ldif"}

EXAMPLE: Final = Roles(
    suffix="ou=relocd,dc=example,dc=org",
    administrators="cn=admins,ou=relocd,dc=example,dc=org",
    triggers="cn=triggers,ou=relocd,dc=example,dc=org",
)
"""The names in the shipped files."""

_HEADER: Final = """\
# The access rules of relocd for OpenLDAP (slapd.access(5)), for the entries below {suffix}.
# Generated from src/relocd/schema/acl_rules.py; for your own names: relocd schema --acl --suffix DN ...
# The replication user must be the rootdn or an administrator here, or replicas lack secrets and passwords.
#
"""
_CONF_USE: Final = """\
# slapd.conf: include this file in the section of the database, before other access rules.
"""
_LDIF_USE: Final = """\
# cn=config: ldapmodify -Y EXTERNAL -H ldapi:/// -f relocd-acl.ldif
# The DN of your database: ldapsearch -Y EXTERNAL -H ldapi:/// -b cn=config '(olcSuffix=*)' olcSuffix
# The rules are inserted before the existing ones. After an update of relocd delete the old ones first.
"""
_CONTENT: Final = "# Each attribute of a new entry is checked, not only the entry."
_LIMITS: Final = (
    "# Agents, and other identities with an entry here, read everything at once; the usual limit is 500 entries."
)
_INDEX: Final = """\
# These indexes are needed as well. They are not set here, since setting one twice is an error:
# {index} objectClass,entryUUID,entryCSN eq
"""


def text(form: Form, roles: Roles = EXAMPLE) -> str:
    """The access rules in the form of slapd.conf (`schema`) or of cn=config (`ldif`), with the limits they need."""
    header = _HEADER.format(suffix=plain(roles.suffix))
    return header + (_slapd_conf(roles) if form == "schema" else _cn_config(roles))


def access(roles: Roles) -> tuple[str, ...]:
    """The values of `olcAccess`, in order, each on one line."""
    return tuple(" ".join(_directive(each, roles, "").split("\n")) for each in rules(roles))


def _slapd_conf(roles: Roles) -> str:
    """Directives of slapd.conf(5): an indented line continues the one before, a backslash within quotes is doubled."""
    unlimited = "".join(f"limits {each}\n" for each in limits(roles))
    index = _INDEX.format(index="index")
    directives = "".join(f"\n{_comment(each)}access {_directive(each, roles, '    ')}\n" for each in rules(roles))
    own = f"\n{_CONTENT}\nadd_content_acl on\n\n{_LIMITS}\n{unlimited}{index}{directives}"
    return _CONF_USE + own.replace("\\", "\\\\")


def _cn_config(roles: Roles) -> str:
    """One modify in LDIF (RFC 2849): one space continues a line, a second one separates the words.

    Unlike in slapd.conf, a backslash is not doubled here.
    """
    unlimited = "".join(f"olcLimits: {{{at}}}{each}\n" for at, each in enumerate(limits(roles)))
    index = _INDEX.format(index="olcDbIndex:")
    values = "".join(
        f"{_comment(each)}olcAccess: {{{at}}}{_directive(each, roles, '  ')}\n" for at, each in enumerate(rules(roles))
    )
    return (
        f"{_LDIF_USE}dn: {plain(roles.database)}\nchangetype: modify\n"
        f"{_CONTENT}\nreplace: olcAddContentAcl\nolcAddContentAcl: TRUE\n-\n"
        f"{_LIMITS}\nadd: olcLimits\n{unlimited}-\n{index}add: olcAccess\n{values}-\n"
    )


def limits(roles: Roles) -> tuple[str, ...]:
    """Who may read without a size limit; the values are the same in both forms."""
    administrators = quoted(roles.administrators)
    who = (server(roles), f"group={administrators}", f"dn.exact={administrators}")
    return tuple(f"{each} size=unlimited" for each in who)


def _comment(rule: AccessRule) -> str:
    return "".join(f"# {line}\n" for line in wrap(rule.why, 116))


def _directive(rule: AccessRule, roles: Roles, indent: str) -> str:
    what = " ".join(filter(None, (f"to dn.subtree={quoted(roles.suffix)}", rule.what)))
    return "".join((what, *(f"\n{indent}by {each}" for each in rule.by)))


def write(folder: Path) -> None:
    """Write `relocd-acl.conf` and `relocd-acl.ldif` into a folder."""
    for form in FORMS:
        (folder / FILES[form]).write_text(text(form), encoding="utf-8")
