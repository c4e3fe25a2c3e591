"""How a command reaches a real slapd, and what it says when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from relocd.model.dn import DN
from relocd.operator.access import Access
from relocd.operator.connection import first_answer
from relocd.operator.directory import on_directory
from tests.adapters.orders_lab import access, password_file
from tests.lab.certificates import issued
from tests.lab.slapd import ROOT_DN, Slapd, server_dn

pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning:ldap3")


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    with Slapd(tls=True, durable=False) as slapd:
        yield slapd


@pytest.fixture
def root(slapd: Slapd, tmp_path: Path) -> Access:
    """The administrator, who trusts the right authority."""
    password_file(tmp_path)
    assert slapd.certificates is not None
    return replace(access(tmp_path, slapd.uri, who=ROOT_DN), ca_file=slapd.certificates.ca)


def who(reached: Access) -> str:
    return first_answer(reached, lambda connection: str(connection.extend.standard.who_am_i()))


def test_a_wrong_base_is_named_as_such(root: Access) -> None:
    with pytest.raises(Invalid, match=r"^--base or RELOCD_BASE: 'example' is not a distinguished name"):
        on_directory(replace(root, base="example"), lambda directory: directory.base)


def test_starttls_is_for_ldap_only(slapd: Slapd, root: Access) -> None:
    """So that one setting fits the `ldapi:///` of the own node and the `ldap://` of the other one."""
    for uri in (slapd.uri, slapd.ldaps_uri, slapd.ldapi_uri):
        assert who(replace(root, uris=(uri,), starttls=True)) == f"dn:{ROOT_DN}"


def test_a_foreign_authority_is_not_taken_for_a_silent_server(slapd: Slapd, root: Access, tmp_path: Path) -> None:
    other = issued(tmp_path / "other", ["127.0.0.1"], server_dn("node1"))
    with pytest.raises(Unavailable, match=r"is not trusted .*name who has signed that by --ca-file"):
        who(replace(root, uris=(slapd.ldaps_uri,), ca_file=other.ca))


def test_a_base_and_names_are_sent_as_rfc_4514_writes_them(root: Access) -> None:
    """ldap3 refuses some right spellings by itself, and that was taken for a directory that does not answer."""
    spelled = ", ".join(root.base.split(","))
    found = on_directory(replace(root, base=spelled), lambda directory: directory.named(DN.parse(spelled), "(ou=*)"))
    assert found is not None
    assert found.dn == DN.parse(root.base)


def test_a_host_name_that_does_not_resolve_is_named_as_such(root: Access) -> None:
    with pytest.raises(Unavailable, match="does not resolve"):
        who(replace(root, uris=("ldap://no-such-host.invalid",)))


REFUSALS = [
    pytest.param(Failed, {"password_file": "wrong"}, "check the DN and the password", id="wrong password"),
    pytest.param(Invalid, {"password_file": "empty"}, "its first line is empty; write", id="empty password"),
    pytest.param(Invalid, {"password_file": "none"}, r"\(No such file or directory\); name a file", id="no password"),
    pytest.param(Invalid, {"ca_file": "none"}, "check --ca-file", id="no authorities"),
]


@pytest.mark.parametrize(("kind", "files", "advice"), REFUSALS)
def test_an_error_says_what_to_check(
    root: Access, tmp_path: Path, kind: type[RelocdError], files: dict[str, str], advice: str
) -> None:
    (tmp_path / "wrong").write_text("wrong\n")
    (tmp_path / "empty").write_text("\n")
    wrong = replace(root, starttls=True, **{option: tmp_path / name for option, name in files.items()})
    with pytest.raises(kind, match=advice):
        who(wrong)
