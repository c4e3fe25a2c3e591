"""The findings from trials of an identity's access rights. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from relocd.doctor.directory.facts import DirectoryFacts
from relocd.doctor.finding import Finding, error, not_checked, ok, warning
from relocd.model.dn import DN

__all__ = ["access_findings"]

_CHECK: Final = "access"
_RULES: Final = "load the rules of `relocd schema --acl` before other rules of that database"
_OWN: Final = "let the agent bind as the entry of its server, see docs/install.md"


def access_findings(facts: DirectoryFacts) -> Iterator[Finding]:
    """Needed acts are allowed, forbidden ones are refused, and an anonymous client reads nothing."""
    yield from _identity(facts)
    wrong = list(_wrong(facts))
    yield from wrong
    silent = [each for each in facts.tried if each.allowed is None]
    for each in silent:
        yield not_checked(_CHECK, f"{facts.identity}: {each.trial.act}: the directory answers {each.answer}")
    if facts.tried and not wrong and not silent:
        allowed = sum(each.trial.allowed for each in facts.tried)
        refused = len(facts.tried) - allowed
        yield ok(_CHECK, f"{facts.identity}: {allowed} needed acts are allowed, {refused} forbidden acts are refused")
    yield from _nobody(facts)


def _identity(facts: DirectoryFacts) -> Iterator[Finding]:
    if facts.server is None:
        why = f"{facts.identity or 'an anonymous client'} is not a server's entry, so a server's rights cannot be tried"
        yield not_checked(_CHECK, why, "run this with the agent's configuration, or with the --bind-dn of a server")
    elif not facts.identity:
        yield error(
            _CHECK,
            f"without an identity (anonymous) {facts.server} can neither write its status nor read secrets",
            _OWN,
        )
    elif DN.parse(facts.identity) != facts.server:
        what = f"{facts.identity} is not {facts.server}, so that what a server must not do is not refused"
        yield warning(_CHECK, what, _OWN)
    elif facts.content.server(facts.server) is not None and facts.server.key not in facts.content.statuses:
        yield not_checked(_CHECK, "the agent has not created its cn=status yet, and creating cannot be tried")


def _wrong(facts: DirectoryFacts) -> Iterator[Finding]:
    for each in facts.tried:
        if each.allowed is not None and each.allowed != each.trial.allowed:
            what = f"may {each.trial.act}, but must not" if each.allowed else f"may not {each.trial.act}, but needs to"
            yield error(_CHECK, f"{facts.identity} {what}", _RULES)


def _nobody(facts: DirectoryFacts) -> Iterator[Finding]:
    if facts.open_secrets:
        yield error(_CHECK, f"{facts.open_secrets} services show their secrets to anonymous clients", _RULES)
    elif facts.open_entries:
        yield warning(_CHECK, f"{facts.open_entries} entries are shown to anonymous clients", _RULES)
