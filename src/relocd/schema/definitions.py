"""The directory schema: the one source of `schema/relocd.schema` and `schema/relocd.ldif`.

Every attribute type and object class stands here once; both forms that OpenLDAP reads are generated from it, so
they cannot disagree. `python -m relocd.schema FOLDER` writes them.

A number, once given out, is never given to anything else, not even after its definition is gone: servers out there
hold data under it. Append with the next free number; never renumber, never reuse. The same holds for a meaning: a
definition that changes in a way old data would break gets a new name and a new number.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

__all__ = [
    "ATTRIBUTES",
    "CLASSES",
    "FORMS",
    "AttributeType",
    "Form",
    "ObjectClass",
    "Syntax",
    "definitions",
    "text",
    "write",
]

ARC: Final = "2.25.220534000957413483118583749382205535156"
"""Derived from a UUID, and so free for anyone to use (ITU-T X.667, clause 7)."""

Form = Literal["schema", "ldif"]
FORMS: Final[tuple[Form, ...]] = ("schema", "ldif")


@dataclass(frozen=True, slots=True)
class Syntax:
    """What the values of an attribute are and how they are compared (RFC 4517)."""

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
        """The definition between its brackets, one clause a line, the attributes two a line."""
        head = [f"{self.oid} NAME '{self.name}'", f"DESC '{self.description}'", f"SUP top {self.kind}"]
        must = [f"MUST ( {' $ '.join(self.must)} )"] if self.must else []
        return [*head, *must, *self._may()]

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
# The kernel tells eth0 from ETH0.
_EXACT_WORD: Final = Syntax("1.3.6.1.4.1.1466.115.121.1.26", "caseExactIA5Match")
_EXACT_TEXT: Final = Syntax("1.3.6.1.4.1.1466.115.121.1.15", "caseExactMatch", substrings="caseExactSubstringsMatch")
# No substring rule: a secret cannot be guessed piece by piece by whoever may only search.
_SECRET_TEXT: Final = Syntax("1.3.6.1.4.1.1466.115.121.1.15", "caseExactMatch")

ATTRIBUTES: Final = (
    AttributeType(1, "relocServiceLink", "A service that shall run here", _DN),
    AttributeType(2, "relocClusterLink", "A cluster that this server belongs to", _DN),
    AttributeType(3, "relocFenced", "The server is powered off or cut off for certain", _FLAG, single=True),
    AttributeType(4, "relocActive", "The member that runs the services of the cluster", _DN, single=True),
    AttributeType(5, "relocFailover", "Who sets relocActive: manual, automatic or external", _WORD, single=True),
    AttributeType(6, "relocAddress", "An address of the service with its prefix length", _WORD),
    AttributeType(7, "relocInterface", "The interface that carries the addresses", _EXACT_WORD, single=True),
    AttributeType(8, "relocTemplateSet", "A template set on the server, by its name", _WORD),
    AttributeType(9, "relocParameter", "A parameter of the templates: key=value", _EXACT_TEXT),
    AttributeType(10, "relocSecret", "A secret parameter of the templates: key=value", _SECRET_TEXT),
    AttributeType(11, "relocExclusive", "Whether one server at a time runs the service", _FLAG, single=True),
    AttributeType(12, "relocIsolation", "What a cut-off holder does: keep or release", _WORD, single=True),
    AttributeType(13, "relocDisplaces", "A service that gives way on the same server", _DN),
    AttributeType(14, "relocHolder", "The server that runs the service now", _DN, single=True),
    AttributeType(15, "relocCandidate", "A chosen server that is ready to take over", _DN, single=True),
    AttributeType(16, "relocPrevious", "The holder that has handed over and waits", _DN, single=True),
    AttributeType(17, "relocGeneration", "Grows by one at each change of holder", _NUMBER, single=True),
    AttributeType(18, "relocHeartbeat", "When the agent last wrote, by its own clock", _TIME, single=True),
    AttributeType(19, "relocAgentVersion", "The version of the agent", _WORD, single=True),
    AttributeType(20, "relocActiveService", "A service that runs here", _DN),
    AttributeType(21, "relocStandbyService", "A service that is on standby here", _DN),
    AttributeType(22, "relocFailedService", "A service that shall run here and does not", _DN),
    AttributeType(23, "relocProblem", "A problem on this server and what to do about it", _EXACT_TEXT),
    AttributeType(24, "relocActedOn", "Generation acted on: entryUUID of the service=number", _WORD),
    AttributeType(25, "relocLease", "Seconds after which the silent server counts as such", _WORD, single=True),
    AttributeType(26, "relocMode", "What a person has told the agent: normal, paused or drained", _WORD, single=True),
)

CLASSES: Final = (
    ObjectClass(
        1,
        "relocServer",
        "A machine that runs an agent",
        "AUXILIARY",
        must=(),
        may=("relocServiceLink", "relocClusterLink", "relocFenced"),
    ),
    ObjectClass(
        2,
        "relocCluster",
        "A named group of servers that share services",
        "STRUCTURAL",
        must=("cn",),
        may=("relocServiceLink", "relocActive", "relocFailover", "description"),
    ),
    ObjectClass(
        3,
        "relocService",
        "What moves between servers",
        "STRUCTURAL",
        must=("cn",),
        may=(
            "relocAddress",
            "relocInterface",
            "relocTemplateSet",
            "relocParameter",
            "relocSecret",
            "relocExclusive",
            "relocIsolation",
            "relocDisplaces",
            "description",
        ),
    ),
    ObjectClass(
        4,
        "relocServiceState",
        "Who runs the service above; written by agents only",
        "STRUCTURAL",
        must=("cn",),
        may=("relocHolder", "relocCandidate", "relocPrevious", "relocGeneration", "description"),
    ),
    ObjectClass(
        5,
        "relocServerStatus",
        "What the server above does; written by its agent only",
        "STRUCTURAL",
        must=("cn",),
        may=(
            "relocHeartbeat",
            "relocAgentVersion",
            "relocActiveService",
            "relocStandbyService",
            "relocFailedService",
            "relocProblem",
            "relocActedOn",
            "relocLease",
            "relocMode",
            "description",
        ),
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
