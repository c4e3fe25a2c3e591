"""The directory schema: the one source of `schema/relocd.schema` and `schema/relocd.ldif`.

Both forms that OpenLDAP reads are generated from it, so they cannot differ; `./dev schema` writes them. The names are
in `relocd.model.names`.

A number is never used for another definition, not even after its own is removed: directories have data under it. Append
with the next free number; never renumber, never reuse. A definition whose meaning changes so that old data would be
wrong gets a new name and a new number.

A directory says which version of the schema it has: `MARKED`, a class, carries `VERSION` as an extension (RFC 4512
section 4.1.1), which every client can read in the subschema. `VERSION` grows by one with the first change after a
release; `relocd.schema.versions` compares, and `relocd schema --upgrade` brings a running directory up to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from relocd.model import names

__all__ = [
    "ARC",
    "ATTRIBUTES",
    "CLASSES",
    "FORMS",
    "MARK",
    "VERSION",
    "AttributeType",
    "Form",
    "ObjectClass",
    "Syntax",
    "definitions",
    "text",
    "write",
]

ARC: Final = "2.25.220534000957413483118583749382205535156"
"""Derived from a UUID, so no registration is needed (ITU-T X.667, clause 7)."""

VERSION: Final = 2
"""The version of this schema. relocd 0.1 had version 1, which is not written in the directory."""
MARKED: Final = names.SERVER_CLASS
MARK: Final = "X-RELOCD-SCHEMA"

Form = Literal["schema", "ldif"]
FORMS: Final[tuple[Form, ...]] = ("schema", "ldif")


@dataclass(frozen=True, slots=True)
class Syntax:
    """The syntax of an attribute and its matching rules (RFC 4517)."""

    oid: str
    equality: str
    ordering: str = ""
    substrings: str = ""


@dataclass(frozen=True, slots=True)
class AttributeType:
    """One attribute type (RFC 4512 section 4.1.2); `number` follows the arc's `.1`."""

    number: int
    name: str
    description: str
    syntax: Syntax
    single: bool = False

    @property
    def oid(self) -> str:
        """The object identifier."""
        return f"{ARC}.1.{self.number}"

    def clauses(self) -> list[str]:
        """The definition between its brackets, one clause a line."""
        rules = [("EQUALITY", self.syntax.equality), ("ORDERING", self.syntax.ordering)]
        rules.append(("SUBSTR", self.syntax.substrings))
        return [
            f"{self.oid} NAME '{self.name}'",
            f"DESC '{self.description}'",
            *(f"{keyword} {rule}" for keyword, rule in rules if rule),
            f"SYNTAX {self.syntax.oid}" + (" SINGLE-VALUE" if self.single else ""),
        ]


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """One object class (RFC 4512 section 4.1.1); `number` follows the arc's `.2`."""

    number: int
    name: str
    description: str
    kind: Literal["STRUCTURAL", "AUXILIARY"]
    must: tuple[str, ...]
    may: tuple[str, ...]

    @property
    def oid(self) -> str:
        """The object identifier."""
        return f"{ARC}.2.{self.number}"

    def clauses(self) -> list[str]:
        """The definition between its brackets, one clause a line, with two attributes a line."""
        head = [f"{self.oid} NAME '{self.name}'", f"DESC '{self.description}'", f"SUP top {self.kind}"]
        must = [f"MUST ( {' $ '.join(self.must)} )"] if self.must else []
        mark = [f"{MARK} '{VERSION}'"] if self.name == MARKED else []
        return [*head, *must, *self._may(), *mark]

    def _may(self) -> list[str]:
        pairs = [" $ ".join(self.may[at : at + 2]) for at in range(0, len(self.may), 2)]
        lines = ["MAY ( " + pairs[0], *("  $ " + pair for pair in pairs[1:])]
        lines[-1] += " )"
        return lines


_DN: Final = Syntax("1.3.6.1.4.1.1466.115.121.1.12", "distinguishedNameMatch")
_FLAG: Final = Syntax("1.3.6.1.4.1.1466.115.121.1.7", "booleanMatch")
_NUMBER: Final = Syntax("1.3.6.1.4.1.1466.115.121.1.27", "integerMatch", "integerOrderingMatch")
_TIME: Final = Syntax("1.3.6.1.4.1.1466.115.121.1.24", "generalizedTimeMatch", "generalizedTimeOrderingMatch")
_WORD: Final = Syntax("1.3.6.1.4.1.1466.115.121.1.26", "caseIgnoreIA5Match", substrings="caseIgnoreIA5SubstringsMatch")
# For the kernel eth0 and ETH0 are two interfaces.
_EXACT_WORD: Final = Syntax("1.3.6.1.4.1.1466.115.121.1.26", "caseExactIA5Match")
_EXACT_TEXT: Final = Syntax("1.3.6.1.4.1.1466.115.121.1.15", "caseExactMatch", substrings="caseExactSubstringsMatch")
# Without a substring rule a secret cannot be guessed piece by piece by a client that may only search.
_SECRET_TEXT: Final = Syntax("1.3.6.1.4.1.1466.115.121.1.15", "caseExactMatch")

ATTRIBUTES: Final = (
    AttributeType(1, names.SERVICE_LINK, "A service that should run here", _DN),
    AttributeType(2, names.CLUSTER_LINK, "A cluster that this server belongs to", _DN),
    AttributeType(3, names.FENCED, "The server is known to be powered off or cut off", _FLAG, single=True),
    AttributeType(4, names.ACTIVE, "The member that runs the services of the cluster", _DN, single=True),
    AttributeType(5, names.FAILOVER, "Who sets relocActive: manual, automatic or external", _WORD, single=True),
    AttributeType(6, names.ADDRESS, "An address of the service with its prefix length", _WORD),
    AttributeType(7, names.INTERFACE, "The interface that carries the addresses", _EXACT_WORD, single=True),
    AttributeType(8, names.TEMPLATE_SET, "A template set on the server, by its name", _WORD),
    AttributeType(9, names.PARAMETER, "A parameter of the templates: key=value", _EXACT_TEXT),
    AttributeType(10, names.SECRET, "A secret parameter of the templates: key=value", _SECRET_TEXT),
    AttributeType(11, names.EXCLUSIVE, "Whether one server at a time runs the service", _FLAG, single=True),
    AttributeType(12, names.ISOLATION, "What a cut-off holder does: keep or release", _WORD, single=True),
    AttributeType(13, names.DISPLACES, "A service that is displaced on the same server", _DN),
    AttributeType(14, names.HOLDER, "The server that runs the service now", _DN, single=True),
    AttributeType(15, names.CANDIDATE, "A server that is ready to take over", _DN, single=True),
    AttributeType(16, names.PREVIOUS, "The former holder, until the new one serves", _DN, single=True),
    AttributeType(17, names.GENERATION, "Incremented at each change of holder", _NUMBER, single=True),
    AttributeType(18, names.HEARTBEAT, "Time of the last heartbeat, by the clock of the server", _TIME, single=True),
    AttributeType(19, names.AGENT_VERSION, "The version of the agent", _WORD, single=True),
    AttributeType(20, names.ACTIVE_SERVICE, "A service that runs here", _DN),
    AttributeType(21, names.STANDBY_SERVICE, "A service that is on standby here", _DN),
    AttributeType(22, names.FAILED_SERVICE, "A service that should run here and does not", _DN),
    AttributeType(23, names.PROBLEM, "A problem on this server and what to do about it", _EXACT_TEXT),
    AttributeType(24, names.ACTED_ON, "Generation acted on: entryUUID of the service=number", _WORD),
    AttributeType(25, names.LEASE, "Seconds without a heartbeat after which the server is silent", _WORD, single=True),
    AttributeType(26, names.MODE, "The mode of the agent: normal, paused or drained", _WORD, single=True),
    AttributeType(27, names.HISTORY_RECORD, "What happened to the service: one event as JSON", _EXACT_TEXT),
    AttributeType(28, names.LAST_CHANGE, "The record of the last change of holder", _EXACT_TEXT, single=True),
    AttributeType(29, names.PREFERRED, "A member that should be active before all others", _DN),
    AttributeType(30, names.FAILBACK, "Seconds until a preferred member becomes active again", _NUMBER, single=True),
)

CLASSES: Final = (
    ObjectClass(
        1,
        names.SERVER_CLASS,
        "A machine that runs an agent",
        "AUXILIARY",
        must=(),
        may=(names.SERVICE_LINK, names.CLUSTER_LINK, names.FENCED),
    ),
    ObjectClass(
        2,
        names.CLUSTER_CLASS,
        "A named group of servers that share services",
        "STRUCTURAL",
        must=("cn",),
        may=(names.SERVICE_LINK, names.ACTIVE, names.FAILOVER, names.PREFERRED, names.FAILBACK, "description"),
    ),
    ObjectClass(
        3,
        names.SERVICE_CLASS,
        "A service that can move between servers",
        "STRUCTURAL",
        must=("cn",),
        may=(
            names.ADDRESS,
            names.INTERFACE,
            names.TEMPLATE_SET,
            names.PARAMETER,
            names.SECRET,
            names.EXCLUSIVE,
            names.ISOLATION,
            names.DISPLACES,
            "description",
        ),
    ),
    ObjectClass(
        4,
        names.STATE_CLASS,
        "Who runs the service above; written by agents only",
        "STRUCTURAL",
        must=("cn",),
        may=(names.HOLDER, names.CANDIDATE, names.PREVIOUS, names.GENERATION, "description"),
    ),
    ObjectClass(
        5,
        names.STATUS_CLASS,
        "The status of the server above; written by its agent only",
        "STRUCTURAL",
        must=("cn",),
        may=(
            names.HEARTBEAT,
            names.AGENT_VERSION,
            names.ACTIVE_SERVICE,
            names.STANDBY_SERVICE,
            names.FAILED_SERVICE,
            names.PROBLEM,
            names.ACTED_ON,
            names.LEASE,
            names.MODE,
            "description",
        ),
    ),
    ObjectClass(
        6,
        names.HISTORY_CLASS,
        "What happened to the service above; written by agents only",
        "STRUCTURAL",
        must=("cn",),
        may=(names.HISTORY_RECORD, names.LAST_CHANGE, "description"),
    ),
)

_HEADER: Final = """\
# The schema of relocd: relocatable services through an LDAP directory.
# Generated from src/relocd/schema/definitions.py by `./dev schema`; change it there.
#
# Attribute types are {arc}.1.n,
# object classes are   {arc}.2.n.
# A number is never used again, not even after its definition is gone.
"""
_SCHEMA_USE: Final = "#\n# slapd.conf: include this file after core.schema.\n"
_LDIF_USE: Final = """\
#
# cn=config: ldapadd -Y EXTERNAL -H ldapi:/// -f relocd.ldif
dn: cn=relocd,cn=schema,cn=config
objectClass: olcSchemaConfig
cn: relocd
"""


def text(form: Form) -> str:
    """The whole schema in the form of slapd.conf (`schema`) or of cn=config (`ldif`)."""
    header = _HEADER.format(arc=ARC)
    if form == "schema":
        attributes = "".join(f"\nattributetype {_slapd_conf(each.clauses())}\n" for each in ATTRIBUTES)
        classes = "".join(f"\nobjectclass {_slapd_conf(each.clauses())}\n" for each in CLASSES)
        return header + _SCHEMA_USE + attributes + classes
    attributes = "".join(f"olcAttributeTypes: {_cn_config(each.clauses())}\n" for each in ATTRIBUTES)
    classes = "".join(f"olcObjectClasses: {_cn_config(each.clauses())}\n" for each in CLASSES)
    return header + _LDIF_USE + attributes + classes


def definitions() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The attribute types and the object classes, each on one line, as cn=config takes them."""
    attributes = tuple(f"( {' '.join(each.clauses())} )" for each in ATTRIBUTES)
    return attributes, tuple(f"( {' '.join(each.clauses())} )" for each in CLASSES)


def _slapd_conf(clauses: list[str]) -> str:
    """A definition in slapd.conf(5), where an indented line continues the one before."""
    return "( " + "\n    ".join(clauses) + " )"


def _cn_config(clauses: list[str]) -> str:
    """A definition in LDIF (RFC 2849), where one space continues a line and a second one separates the words."""
    return "( " + "\n  ".join(clauses) + " )"


def write(folder: Path) -> None:
    """Write `relocd.schema` and `relocd.ldif` into a folder."""
    for form in FORMS:
        (folder / f"relocd.{form}").write_text(text(form), encoding="utf-8")
