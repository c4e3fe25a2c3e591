"""A finding of the doctor, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Level", "error", "not_checked", "ok", "raised", "warning"]


class Level(StrEnum):
    """The level of a finding; `not checked` means that nothing is known."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: the check in one or two words, what was found, and what to do about it where something is wrong."""

    check: str
    level: Level
    what: str
    advice: str = ""


def ok(check: str, what: str) -> Finding:
    """A check that found nothing wrong."""
    return Finding(check, Level.OK, what)


def warning(check: str, what: str, advice: str) -> Finding:
    """It works now, but fails in some case."""
    return Finding(check, Level.WARNING, what, advice)


def error(check: str, what: str, advice: str) -> Finding:
    """It does not work, or permits what must not be permitted."""
    return Finding(check, Level.ERROR, what, advice)


def raised(check: str, problem: str) -> Finding:
    """An error in its own words: what is wrong, and after the last semicolon what to do."""
    what, _, advice = problem.rpartition("; ")
    return error(check, what or problem, advice if what else "")


def not_checked(check: str, why: str, advice: str = "") -> Finding:
    """A check that could not be made."""
    return Finding(check, Level.NOT_CHECKED, why, advice)
