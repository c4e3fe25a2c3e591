"""Checking every directory of an access, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from relocd.doctor.directory.checks import between, directory_findings
from relocd.doctor.directory.copies import copies_that_differ
from relocd.doctor.directory.facts import DirectoryFacts, Peer
from relocd.doctor.directory.probe import directory_facts
from relocd.doctor.finding import DoctorKind, Finding, raised, warning
from relocd.errors import RelocdError
from relocd.model.dn import DN
from relocd.model.entries import Service
from relocd.model.settings import DirectorySettings
from relocd.model.uri import PLAIN_TEXT, PROTECT, in_plain_text
from relocd.operator.access import Access

__all__ = ["DirectoryResult", "agent_access", "examine"]

BETWEEN = "all directories"


@dataclass(frozen=True, slots=True)
class DirectoryResult:
    """The findings by URI, and the facts of those directories that answered."""

    findings: dict[str, Sequence[Finding]]
    directories: tuple[DirectoryFacts, ...]

    def services_of(self, server: DN) -> tuple[Service, ...] | None:
        """The services that a server is linked to, by the first directory that has the server; None where none has."""
        for each in self.directories:
            found = each.content.server(server)
            if found is not None:
                return each.content.services_of(found)
        return None


def examine(access: Access, server: DN | None) -> DirectoryResult:
    """The findings about each directory, and about all of them; one that does not answer is a finding."""
    findings: dict[str, Sequence[Finding]] = {}
    answered: list[DirectoryFacts] = []
    for uri in access.uris:
        try:
            facts = directory_facts(replace(access, uris=(uri,)), server)
        except RelocdError as problem:
            findings[uri] = [raised("answer", DoctorKind.NO_ANSWER, str(problem), names=(uri,))]
            continue
        answered.append(facts)
        findings[uri] = list(directory_findings(facts))
    if among := [*between([*answered, *_other_peers(answered)]), *copies_that_differ(answered)]:
        findings[BETWEEN] = among
    return DirectoryResult({uri: [*_connection(access, uri), *some] for uri, some in findings.items()}, tuple(answered))


def _connection(access: Access, uri: str) -> Iterator[Finding]:
    """A warning where a password is sent unprotected."""
    if in_plain_text([uri], password=bool(access.bind_dn), starttls=access.starttls):
        yield warning("connection", DoctorKind.PLAIN_TEXT_PASSWORD, PLAIN_TEXT, PROTECT, names=(uri,))


def _other_peers(checked: Sequence[DirectoryFacts]) -> list[Peer]:
    """The providers from which a directory replicates, without those that were checked under the same URI."""
    uris = {each.uri for each in checked}
    return [peer for each in checked for peer in each.peers if peer.context_csns and peer.uri not in uris]


def agent_access(settings: DirectorySettings) -> Access:
    """How the agent reaches its directories."""
    return Access(
        uris=settings.uris,
        base=settings.base,
        bind_dn=settings.bind_dn if settings.bind == "simple" else "",
        password_file=_path(settings.password_file) if settings.bind == "simple" else None,
        external=settings.bind == "external",
        starttls=settings.starttls,
        ca_file=_path(settings.ca_file),
        timeout_s=max(1, round(settings.operation_timeout_s)),
        cert_file=_path(settings.cert_file),
        key_file=_path(settings.key_file),
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None
