"""How a command reaches a real slapd, and what it says when it does not."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from ldap3.utils import tls_backport

from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from relocd.model.dn import DN
from relocd.operator.access import Access
from relocd.operator.directory import on_directory
from tests.integration.orders_lab import access, password_file
from tests.lab.slapd.certificates import Certificates, issued
from tests.lab.slapd.slapd import ROOT_DN, Slapd, server_dn

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
    return on_directory(reached, lambda directory: directory.identity())


def test_a_wrong_base_is_named_as_such(root: Access) -> None:
    with pytest.raises(Invalid, match=r"^--base or RELOCD_BASE: 'example' is not a distinguished name"):
        on_directory(replace(root, base="example"), lambda directory: directory.base)


def test_starttls_is_for_ldap_only(slapd: Slapd, root: Access) -> None:
    """So that one setting fits the `ldapi:///` of the own node and the `ldap://` of the other one."""
    for uri in (slapd.uri, slapd.ldaps_uri, slapd.ldapi_uri):
        assert who(replace(root, uris=(uri,), starttls=True)) == ROOT_DN


def test_a_foreign_authority_is_not_taken_for_a_silent_server(slapd: Slapd, root: Access, tmp_path: Path) -> None:
    other = issued(tmp_path / "other", ["127.0.0.1"], server_dn("node1"))
    with pytest.raises(Unavailable, match=r"is not trusted .*name the CA that signed it by --ca-file"):
        who(replace(root, uris=(slapd.ldaps_uri,), ca_file=other.ca))


def test_a_base_and_names_are_sent_as_rfc_4514_writes_them(root: Access) -> None:
    """ldap3 refuses some right spellings by itself, and that was taken for a directory that does not answer."""
    spelled = ", ".join(root.base.split(","))
    found = on_directory(replace(root, base=spelled), lambda directory: directory.named(DN.parse(spelled), "(ou=*)"))
    assert found is not None
    assert found.dn == DN.parse(root.base)


def test_attributes_in_a_name_may_be_written_as_numbers(root: Access) -> None:
    """RFC 4514, section 2; ldap3 by itself takes no such name."""
    spelled = root.base.replace("dc=", "0.9.2342.19200300.100.1.25=")
    found = on_directory(replace(root, base=spelled), lambda directory: directory.named(DN.parse(spelled), "(ou=*)"))
    assert found is not None
    assert found.dn == DN.parse(root.base)


def test_a_host_name_that_does_not_resolve_is_named_as_such(root: Access) -> None:
    with pytest.raises(Unavailable, match="does not resolve"):
        who(replace(root, uris=("ldap://no-such-host.invalid",)))


@pytest.fixture(params=["of Python before 3.12", "of ldap3 since then"])
def matching(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function by which ldap3 compares names: Python's own, which is gone since 3.12, and ldap3's."""
    if request.param == "of ldap3 since then":
        monkeypatch.setattr("ldap3.core.tls.match_hostname", tls_backport.match_hostname)
        monkeypatch.setattr("ldap3.core.tls.CertificateError", tls_backport.CertificateError)


@pytest.mark.usefixtures("matching")
def test_a_server_is_trusted_by_its_name_and_by_its_address(slapd: Slapd, root: Access) -> None:
    port = slapd.ldaps_uri.rpartition(":")[2].rstrip("/")
    for host in ("127.0.0.1", "localhost"):
        assert who(replace(root, uris=(f"ldaps://{host}:{port}",))) == ROOT_DN


@pytest.mark.usefixtures("matching")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_of_another_host_is_refused_and_both_are_named(root: Access, tmp_path: Path, host: str) -> None:
    other = issued(tmp_path / "other", ["192.0.2.1", "ldap.example.org"], server_dn("node1"))
    with _greeting(other) as port, pytest.raises(Unavailable) as refused:
        who(replace(root, uris=(f"ldaps://{host}:{port}",), ca_file=other.ca))
    assert f"its certificate is for 192.0.2.1, ldap.example.org, not for {host!r}" in str(refused.value)


@contextmanager
def _greeting(certificates: Certificates) -> Iterator[int]:
    """A port at which somebody completes one TLS handshake and says nothing more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.server)

    def greet() -> None:
        with (
            suppress(OSError),
            listening.accept()[0] as accepted,
            context.wrap_socket(accepted, server_side=True) as one,
        ):
            one.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        greeter = Thread(target=greet)
        greeter.start()
        yield listening.getsockname()[1]
        greeter.join(timeout=20)


FILES = [
    ("wrong", b"wrong\n", 0o600),
    ("empty", b"\n", 0o600),
    ("latin", b"k\xf6nig\n", 0o600),
    ("open", b"secret\n", 0o644),
]
REFUSALS = [
    pytest.param(Failed, {"password_file": "wrong"}, "check the DN and the password", id="wrong password"),
    pytest.param(Invalid, {"password_file": "empty"}, "its first line is empty; write", id="empty password"),
    pytest.param(Invalid, {"password_file": "latin"}, "is not UTF-8; convert it", id="password in Latin-1"),
    pytest.param(Invalid, {"password_file": "open"}, "chmod o-rwx", id="open password"),
    pytest.param(Invalid, {"password_file": "."}, "name a file", id="a folder"),
    pytest.param(Invalid, {"password_file": "none"}, r"\(No such file or directory\); name a file", id="no password"),
    pytest.param(Invalid, {"ca_file": "none"}, "check --ca-file", id="no authorities"),
]


@pytest.mark.parametrize(("kind", "files", "advice"), REFUSALS)
def test_an_error_says_what_to_check(
    root: Access, tmp_path: Path, kind: type[RelocdError], files: dict[str, str], advice: str
) -> None:
    for name, content, mode in FILES:
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(mode)
    wrong = replace(root, starttls=True, **{option: tmp_path / name for option, name in files.items()})
    with pytest.raises(kind, match=advice):
        who(wrong)
