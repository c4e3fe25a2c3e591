"""Connections to a real slapd: every way to bind and to protect it, and nothing waits for ever."""

import os
import socket
import subprocess
import sys
import threading
import time

import ldap
import pytest

from relocd.adapters.ldap.connection import connect
from relocd.adapters.ldap.errors import NoSuchObject
from relocd.errors import Failed, Invalid, RelocdError, Unavailable
from tests.adapters.ldap.lab import settings_for
from tests.lab.slapd.certificates import issued
from tests.lab.slapd.slapd import PASSWORD, ROOT_DN, SUFFIX, Slapd, server_dn, server_ldif

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(scope="module")
def slapd():
    with Slapd(tls=True) as slapd:
        slapd.add(server_ldif("node1"))
        yield slapd


@pytest.fixture(scope="module")
def hung():
    with Slapd(tls=True) as slapd:
        slapd.pause()
        yield slapd
        slapd.resume()


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\nnot this line\n")
    path.chmod(0o640)
    return path


def who(uri, **more):
    """The identity that the server sees."""
    with connect(uri, settings_for(uri, **more)) as connection:
        return connection.handle.whoami_s()


def client(slapd, **more):
    """Settings for TLS with the client's certificate."""
    certificate, key = map(str, slapd.certificates.client)
    return {"ca_file": str(slapd.certificates.ca), "cert_file": certificate, "key_file": key, "bind": "external"} | more


def refusal(uri, **more):
    """The error of a connection that must not come about."""
    with pytest.raises(RelocdError) as caught:
        who(uri, **more)
    return caught.value


def test_a_host_name_that_does_not_resolve_is_named_as_such():
    error = refusal("ldaps://no-such-host.invalid")
    assert isinstance(error, Unavailable)
    assert "no-such-host.invalid does not resolve" in str(error)


class TestBind:
    def test_anonymous(self, slapd):
        assert who(slapd.uri) == ""

    def test_simple_with_the_first_line_of_a_file(self, slapd, password_file):
        assert who(slapd.uri, bind="simple", bind_dn=ROOT_DN, password_file=str(password_file)) == f"dn:{ROOT_DN}"

    def test_external_over_the_local_socket(self, slapd):
        assert who(slapd.ldapi_uri, bind="external") == f"dn:{ROOT_DN}"

    def test_the_wrong_password_names_what_to_check(self, slapd, password_file):
        password_file.write_text("wrong\n")
        error = refusal(slapd.uri, bind="simple", bind_dn=ROOT_DN, password_file=str(password_file))
        assert isinstance(error, Invalid)
        assert f"bind as {ROOT_DN}" in str(error)
        assert "`password_file`" in str(error)
        assert "wrong" not in str(error)

    def test_external_without_a_certificate_is_refused(self, slapd):
        assert isinstance(refusal(slapd.uri, bind="external"), Invalid)

    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
    def test_a_password_open_to_everyone_is_refused(self, slapd, password_file, mode):
        password_file.chmod(mode)
        error = refusal(slapd.uri, bind="simple", bind_dn=ROOT_DN, password_file=str(password_file))
        assert isinstance(error, Invalid)
        assert f"chmod o-rwx {password_file}" in str(error)

    def test_a_missing_password_file_is_named(self, slapd, tmp_path):
        error = refusal(slapd.uri, bind="simple", bind_dn=ROOT_DN, password_file=str(tmp_path / "none"))
        assert isinstance(error, Invalid)
        assert f"{tmp_path}/none: the password cannot be read (No such file" in str(error)

    @pytest.mark.parametrize("content", ["", f"\n{PASSWORD}\n"])
    def test_an_empty_password_does_not_become_an_anonymous_bind(self, slapd, password_file, content):
        password_file.write_text(content)
        error = refusal(slapd.uri, bind="simple", bind_dn=ROOT_DN, password_file=str(password_file))
        assert isinstance(error, Invalid)
        assert "empty" in str(error)

    def test_a_simple_bind_needs_a_password_file(self, slapd):
        assert "`password_file`" in str(refusal(slapd.uri, bind="simple", bind_dn=ROOT_DN))

    def test_a_server_that_wants_tls_says_so(self, password_file):
        with Slapd(global_lines=["security simple_bind=128"]) as slapd:
            error = refusal(slapd.uri, bind="simple", bind_dn=ROOT_DN, password_file=str(password_file))
        assert "starttls = true" in str(error)


class TestTLS:
    def test_starttls(self, slapd):
        assert who(slapd.uri, starttls=True, ca_file=str(slapd.certificates.ca)) == ""

    def test_ldaps(self, slapd):
        assert who(slapd.ldaps_uri, ca_file=str(slapd.certificates.ca)) == ""

    def test_a_client_certificate_is_an_identity(self, slapd):
        assert who(slapd.ldaps_uri, **client(slapd)) == f"dn:{server_dn('node1')}"
        assert who(slapd.uri, **client(slapd, starttls=True)) == f"dn:{server_dn('node1')}"

    def test_starttls_is_for_ldap_only(self, slapd):
        assert who(slapd.ldapi_uri, bind="external", starttls=True) == f"dn:{ROOT_DN}"

    @pytest.mark.parametrize("starttls", [True, False], ids=["starttls", "ldaps"])
    def test_without_a_file_the_authorities_of_ldap_conf_count(self, slapd, tmp_path, starttls):
        """In a process of its own, since libldap reads its settings once."""
        settings = tmp_path / "ldap.conf"
        settings.write_text(f"TLS_CACERT {slapd.certificates.ca}\n")
        uri = slapd.uri if starttls else slapd.ldaps_uri
        script = (
            "from relocd.adapters.ldap.connection import connect\n"
            "from relocd.model.settings import DirectorySettings\n"
            f"with connect({uri!r}, DirectorySettings(({uri!r},), {SUFFIX!r}, starttls={starttls})):\n"
            "    print('bound')\n"
        )
        environment = os.environ | {"LDAPCONF": str(settings)}
        argv = [sys.executable, "-c", script]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=30, check=False)
        assert done.stdout == "bound\n", done.stderr

    @pytest.mark.parametrize("starttls", [True, False], ids=["starttls", "ldaps"])
    def test_a_foreign_authority_is_refused(self, slapd, tmp_path, starttls):
        other = issued(tmp_path, ["127.0.0.1"], server_dn("node1"))
        error = refusal(slapd.uri if starttls else slapd.ldaps_uri, starttls=starttls, ca_file=str(other.ca))
        assert isinstance(error, Unavailable)
        assert f"signed by {other.ca}" in str(error)

    def test_an_unknown_authority_is_refused_also_without_a_file(self, slapd):
        assert "an authority of the system" in str(refusal(slapd.ldaps_uri))

    def test_another_host_name_is_refused(self):
        """The certificate is good for 127.0.0.1 and not for 127.0.0.2."""
        with socket.create_server(("127.0.0.2", 0)) as free:
            uri = f"ldaps://127.0.0.2:{free.getsockname()[1]}"
        with Slapd(tls=True, listen=[uri]) as slapd:
            assert "must name the host" in str(refusal(uri, ca_file=str(slapd.certificates.ca)))

    def test_a_missing_file_is_named(self, slapd, tmp_path):
        error = refusal(slapd.ldaps_uri, ca_file=str(tmp_path / "none.crt"))
        assert isinstance(error, Invalid)
        assert f"{tmp_path}/none.crt cannot be read" in str(error)

    def test_a_key_that_does_not_fit_is_named(self, slapd, tmp_path):
        other = issued(tmp_path, ["127.0.0.1"], server_dn("node1"))
        error = refusal(slapd.ldaps_uri, **client(slapd, key_file=str(other.client[1])))
        assert isinstance(error, Invalid)
        assert str(other.client[1]) in str(error)


class TestTime:
    """A server that hangs is noticed in every step."""

    @pytest.mark.parametrize("kind", ["plain", "external", "starttls", "ldaps", "certificate"])
    def test_a_hung_server_is_given_up(self, hung, kind):
        ca = {"ca_file": str(hung.certificates.ca)}
        uri, more = {
            "plain": (hung.uri, {}),
            "external": (hung.ldapi_uri, {"bind": "external"}),
            "starttls": (hung.uri, ca | {"starttls": True}),
            "ldaps": (hung.ldaps_uri, ca),
            "certificate": (hung.ldaps_uri, client(hung)),
        }[kind]
        started = time.monotonic()
        error = refusal(uri, operation_timeout_s=0.3, connect_timeout_s=0.3, **more)
        assert isinstance(error, Unavailable)
        assert uri in str(error)
        assert time.monotonic() - started < 3.0

    def test_a_handshake_that_hangs_after_starttls_is_given_up(self, slapd):
        """libldap waits for ever here; the limit comes from outside, and waiting costs no CPU."""
        agreed = bytes.fromhex("300c02010178070a010004000400")  # an extended response (RFC 4511, section 4.12): success
        with socket.create_server(("127.0.0.1", 0)) as server:

            def agree_and_hang():
                connection, _ = server.accept()
                with connection:
                    connection.recv(1024)
                    connection.sendall(agreed)
                    while connection.recv(1024):
                        pass

            thread = threading.Thread(target=agree_and_hang)
            thread.start()
            used_s = time.process_time()
            uri = f"ldap://127.0.0.1:{server.getsockname()[1]}"
            times = {"operation_timeout_s": 0.5, "connect_timeout_s": 0.5}
            error = refusal(uri, starttls=True, ca_file=str(slapd.certificates.ca), **times)
            assert "no TLS handshake within 1 s" in str(error)
            assert time.process_time() - used_s < 0.5
            thread.join(5)

    @pytest.mark.parametrize("starttls", [False, True], ids=["plain", "tls"])
    def test_a_host_that_drops_connections_is_given_up(self, slapd, starttls):
        """A full queue of connections: the kernel answers no more of them."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
            full = [socket.socket() for _ in range(4)]
            for each in full:
                each.setblocking(False)
                each.connect_ex(server.getsockname())
            started = time.monotonic()
            uri = f"ldap://127.0.0.1:{server.getsockname()[1]}"
            error = refusal(uri, connect_timeout_s=0.5, starttls=starttls, ca_file=str(slapd.certificates.ca))
            assert isinstance(error, Unavailable)
            assert time.monotonic() - started < 5.0
            for each in full:
                each.close()

    def test_a_read_is_given_up(self):
        with Slapd() as slapd, connect(slapd.uri, settings_for(slapd.uri, operation_timeout_s=0.3)) as connection:
            slapd.pause()
            with pytest.raises(Unavailable, match="does not answer in time"):
                connection.search(SUFFIX, ldap.SCOPE_BASE, "(objectClass=*)", ["*"])
            slapd.resume()

    def test_a_refused_connection_names_the_server(self):
        error = refusal("ldap://127.0.0.1:1")
        assert isinstance(error, Unavailable)
        assert "ldap://127.0.0.1:1" in str(error)

    def test_a_name_that_does_not_resolve_names_the_server(self):
        assert "ldap://no-such-host.invalid" in str(refusal("ldap://no-such-host.invalid"))

    @pytest.mark.parametrize("uri", ["http://127.0.0.1", "127.0.0.1", "ldap://127.0.0.1:port"])
    def test_a_malformed_uri_is_invalid(self, uri):
        error = refusal(uri)
        assert isinstance(error, Invalid)
        assert f"{uri!r} is not the URI of a directory" in str(error)


class TestSearch:
    def test_entries_are_found(self, slapd):
        with connect(slapd.uri, settings_for(slapd.uri)) as connection:
            found = connection.search(server_dn("NODE1"), ldap.SCOPE_BASE, "(objectClass=*)", ["cn"])
        assert found == [(server_dn("node1"), {"cn": [b"node1"]})]

    @pytest.mark.parametrize(
        ("base", "filter_", "kind"),
        [
            (server_dn("none"), "(objectClass=*)", NoSuchObject),
            ("no name", "(objectClass=*)", Invalid),
            (SUFFIX, "((", Invalid),
        ],
    )
    def test_refusals_name_the_base(self, slapd, base, filter_, kind):
        with connect(slapd.uri, settings_for(slapd.uri)) as connection, pytest.raises(kind, match=base):
            connection.search(base, ldap.SCOPE_BASE, filter_, ["*"])

    def test_the_size_limit_is_named(self):
        with (
            Slapd(database_lines=["limits anonymous size=2"]) as slapd,
            connect(slapd.uri, settings_for(slapd.uri)) as connection,
            pytest.raises(Failed, match="size=unlimited"),
        ):
            connection.search(SUFFIX, ldap.SCOPE_SUBTREE, "(objectClass=*)", ["*"])
