"""Checking every directory of an access, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from relocd.doctor.directory.checks import between, directory_findings
from relocd.doctor.directory.facts import DirectoryFacts, Peer
from relocd.doctor.directory.probe import directory_facts
from relocd.doctor.finding import Finding, raised, warning
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
    seen: list[DirectoryFacts] = []
    for uri in access.uris:
        try:
            facts = directory_facts(replace(access, uris=(uri,)), server)
        except RelocdError as problem:
            findings[uri] = [raised("answer", str(problem))]
            continue
        seen.append(facts)
        findings[uri] = list(directory_findings(facts))
    if among := list(between([*seen, *_other_peers(seen)])):
        findings[BETWEEN] = among
    return DirectoryResult({uri: [*_connection(access, uri), *some] for uri, some in findings.items()}, tuple(seen))


def _connection(access: Access, uri: str) -> Iterator[Finding]:
    """A warning where a password is sent unprotected."""
    if in_plain_text([uri], password=bool(access.bind_dn), starttls=access.starttls):
        yield warning("connection", PLAIN_TEXT, PROTECT)


def _other_peers(seen: Sequence[DirectoryFacts]) -> list[Peer]:
    """The providers from which a directory replicates, without those that were checked under the same URI."""
    looked_at = {each.uri for each in seen}
    return [peer for each in seen for peer in each.peers if peer.context_csns and peer.uri not in looked_at]


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
