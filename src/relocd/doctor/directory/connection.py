"""The check of the connection to a directory. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from relocd.doctor.finding import Finding, warning
from relocd.model.protection import PLAIN_TEXT, PROTECT, in_plain_text
from relocd.operator.access import Access

__all__ = ["connection_findings"]


def connection_findings(access: Access, uri: str) -> Iterator[Finding]:
    """A warning where a password is sent unprotected."""
    if in_plain_text([uri], password=bool(access.bind_dn), starttls=access.starttls):
        yield warning("connection", PLAIN_TEXT, PROTECT)
