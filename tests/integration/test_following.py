"""Entries that are followed on a real slapd: the same by push and by polling, over TLS, and until the server ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from relocd.errors import Unavailable
from relocd.model.dn import DN
from relocd.operator.access import Access
from relocd.operator.directory import Directory, on_directory
from relocd.operator.following import Entries, followed
from tests.integration.orders_lab import RULES, access, guarded_directory
from tests.lab.deadline import until
from tests.lab.slapd.ldif import server_dn, service_dn, state_ldif, status_ldif
from tests.lab.slapd.slapd import Slapd

pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning:ldap3")
SERVER = DN.parse(server_dn("node2"))
STATUS = SERVER.below("cn=status")
STATE = DN.parse(service_dn("web")).below("cn=state")
NAMES = (STATE, SERVER, STATUS)
HIDDEN = ["access to attrs=entryDN by * none", *RULES]


@pytest.fixture(params=[RULES, HIDDEN], ids=["by push", "by polling"])
def slapd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Slapd]:
    with guarded_directory(tmp_path, database_lines=request.param, tls=True) as slapd:
        yield slapd


def trigger(slapd: Slapd, folder: Path, uri: str) -> Access:
    assert slapd.certificates is not None
    return replace(access(folder, uri, patience_s=2), ca_file=slapd.certificates.ca)


def comes_to(entries: Iterator[Entries], *names: DN) -> None:
    """Wait until exactly the entries of these names are there."""
    until(lambda: set(next(entries)) == {each.key for each in names})


@pytest.mark.parametrize("tls", [False, True], ids=["ldap", "ldaps"])
def test_each_addition_change_and_deletion_is_seen(slapd: Slapd, tmp_path: Path, tls: bool) -> None:
    def work(directory: Directory) -> None:
        entries = followed(directory, NAMES, SERVER)
        assert set(next(entries)) == {SERVER.key}
        slapd.add(status_ldif("node2"))
        comes_to(entries, SERVER, STATUS)
        slapd.add(state_ldif("web", "node2"))
        comes_to(entries, *NAMES)
        slapd.modify(f"dn: {SERVER.text}\nchangetype: modify\nadd: relocFenced\nrelocFenced: TRUE\n")
        until(lambda: next(entries)[SERVER.key].attributes.get("relocfenced") == (b"TRUE",))
        slapd.modify(f"dn: {STATE.text}\nchangetype: delete\n")
        comes_to(entries, SERVER, STATUS)

    on_directory(trigger(slapd, tmp_path, slapd.ldaps_uri if tls else slapd.uri), work)


@pytest.mark.parametrize("end", ["stop", "kill", "pause"])
def test_a_server_that_ends_or_hangs_is_unavailable(slapd: Slapd, tmp_path: Path, end: str) -> None:
    def work(directory: Directory) -> None:
        entries = followed(directory, NAMES, SERVER)
        next(entries)
        getattr(slapd, end)()
        for _ in entries:
            pass

    with pytest.raises(Unavailable):
        on_directory(trigger(slapd, tmp_path, slapd.uri), work)
