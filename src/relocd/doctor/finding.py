"""A finding of the doctor, as a value. docs/findings.md lists the kinds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict, Unpack

__all__ = ["About", "DoctorKind", "Finding", "Level", "error", "not_checked", "ok", "raised", "warning"]


class Level(StrEnum):
    """The level of a finding; `not checked` means that nothing is known."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    NOT_CHECKED = "not checked"


class DoctorKind(StrEnum):
    """What was found; `OK` of a check that found nothing wrong."""

    OK = "ok"
    # any directory
    NO_ANSWER = "no-answer"
    NO_DIRECTORY_NAMED = "no-directory-named"
    PLAIN_TEXT_PASSWORD = "plain-text-password"  # noqa: S105 - a kind
    SCHEMA_MISSING = "schema-missing"
    SCHEMA_OLDER = "schema-older"
    SCHEMA_DIFFERS = "schema-differs"
    SCHEMA_NEWER = "schema-newer"
    LIMIT_TOO_LOW = "limit-too-low"
    NO_ENTRIES = "no-entries"
    NO_SERVER_ENTRY = "no-server-entry"
    BASE_UNREADABLE = "base-unreadable"
    NO_SYNCPROV = "no-syncprov"
    NO_CONTEXT_CSN = "no-context-csn"
    NO_SESSION_LOG = "no-session-log"
    PREFERRED_NO_MEMBER = "preferred-no-member"
    FAILBACK_UNUSED = "failback-unused"
    # access rules
    NOT_A_SERVER = "not-a-server"
    ANONYMOUS = "anonymous"
    OTHER_IDENTITY = "other-identity"
    NO_STATUS_YET = "no-status-yet"
    ACCESS_DENIED = "access-denied"
    ACCESS_TOO_WIDE = "access-too-wide"
    ACCESS_UNCLEAR = "access-unclear"
    SECRETS_OPEN = "secrets-open"
    ENTRIES_OPEN = "entries-open"
    # clocks and replication
    CLOCKS_DIFFER = "clocks-differ"
    DIRECTORY_AHEAD = "directory-ahead"
    NO_HEARTBEAT = "no-heartbeat"
    PROVIDER_BEHIND = "provider-behind"
    PROVIDER_MISSING = "provider-missing"
    COPIES_DIFFER = "copies-differ"
    # slapd's configuration
    CONFIG_UNREADABLE = "config-unreadable"
    NO_DATABASE = "no-database"
    NOT_INDEXED = "not-indexed"
    ADD_UNCHECKED = "add-unchecked"
    READ_ONLY_COPY = "read-only-copy"
    NO_SERVER_ID = "no-server-id"
    WHOLE_ENTRIES = "whole-entries"
    PEER_NOT_TRIED = "peer-not-tried"
    PEER_FAILS = "peer-fails"
    # this host
    AGENT_NOT_INSTALLED = "agent-not-installed"
    NO_CONFIGURATION = "no-configuration"
    CONFIGURATION_INVALID = "configuration-invalid"
    CHECK_FAILED = "check-failed"
    FOLDER_MISSING = "folder-missing"
    NO_AGENT = "no-agent"
    OTHER_VERSION = "other-version"
    AGENT_MODE = "agent-mode"
    AGENT_PROBLEMS = "agent-problems"
    UNIT_DIFFERS = "unit-differs"
    NO_PROCESS = "no-process"
    CAPABILITY_MISSING = "capability-missing"
    NO_SYSTEMD = "no-systemd"
    SYSTEMD_SILENT = "systemd-silent"
    INTERFACES_UNREADABLE = "interfaces-unreadable"
    SERVICES_UNKNOWN = "services-unknown"
    ADDRESS_MISPLACED = "address-misplaced"
    PROGRAM_MISSING = "program-missing"
    PING_OFF_LINK = "ping-off-link"
    INTERFACE_MISSING = "interface-missing"
    IPV6_OFF = "ipv6-off"
    DHCPCD = "dhcpcd"
    NETWORK_MANAGER = "network-manager"
    NETWORKD = "networkd"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: the check in one or two words, what was found, and what to do about it where something is wrong.

    `server` and `service` are the names of those that it is about, `seconds` a difference of clocks or a delay. `names`
    are what else it is about, in the order of the sentence: attributes, capabilities, interfaces, acts, URIs.
    """

    check: str
    level: Level
    kind: DoctorKind
    what: str
    advice: str = ""
    server: str = ""
    service: str = ""
    seconds: float | None = None
    names: tuple[str, ...] = ()


class About(TypedDict, total=False):
    """The fields of a finding that name what it is about."""

    server: str
    service: str
    seconds: float
    names: tuple[str, ...]


def ok(check: str, what: str, **about: Unpack[About]) -> Finding:
    """A check that found nothing wrong."""
    return Finding(check, Level.OK, DoctorKind.OK, what, **about)


def warning(check: str, kind: DoctorKind, what: str, advice: str, **about: Unpack[About]) -> Finding:
    """It works now, but fails in some case."""
    return Finding(check, Level.WARNING, kind, what, advice, **about)


def error(check: str, kind: DoctorKind, what: str, advice: str, **about: Unpack[About]) -> Finding:
    """It does not work, or permits what must not be permitted."""
    return Finding(check, Level.ERROR, kind, what, advice, **about)


def raised(check: str, kind: DoctorKind, problem: str, **about: Unpack[About]) -> Finding:
    """An error in its own words: what is wrong, and after the last semicolon what to do."""
    what, _, advice = problem.rpartition("; ")
    return error(check, kind, what or problem, advice if what else "", **about)


def not_checked(check: str, kind: DoctorKind, why: str, advice: str = "", **about: Unpack[About]) -> Finding:
    """A check that could not be made."""
    return Finding(check, Level.NOT_CHECKED, kind, why, advice, **about)
