"""A connection to the directory: options, TLS, bind, plain searches and writes, all limited in time.

Blocking: it belongs to one thread. A connection that raised `Unavailable` is closed and not used again, because the
outcome of the operation is unknown.

libldap has no time limit for a TLS handshake. It limits the TCP connection and every LDAP operation, but it waits for
ever in the handshake with a server that hangs: the kernel of that server accepts the connection and acknowledges the
data, so a limit of TCP does not help. And python-ldap gives no access to the socket before the handshake is complete.
So a second thread waits for the limit, then shuts down the sockets to the server's port that this process opened
meanwhile, and the handshake fails. (At worst that ends another connection to the same server begun in the same seconds,
which is then made again.)
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import ldap

from relocd.adapters.ldap.errors import UNREADABLE, outcome_of, translated
from relocd.config.password_file import first_line
from relocd.errors import Invalid, RelocdError, Unavailable
from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.model.settings import DirectorySettings
from relocd.model.uri import DirectoryUri
from relocd.model.writes import Done, Outcome, Unknown

__all__ = ["ATTRIBUTES", "Connection", "Found", "check_files", "connect", "entry_of", "password"]

ATTRIBUTES: Final = ["*", "entryUUID", "entryCSN", "modifiersName"]
"""All user attributes, and the operational ones with identity (RFC 4530), last change, and who made that."""

Found = tuple[str, dict[str, list[bytes]]]
"""One entry of a search: its DN and the values of its attributes."""

_KEEPALIVE_PROBES: Final = 3
_NEXT_HANDSHAKE_S: Final = 0.1
"""libldap continues with the next address of the server, where the handshake may hang as well."""
_SYSTEM_AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"


class Connection:
    """A bound connection; `handle` is python-ldap's own object, for the one thread that owns the connection."""

    def __init__(self, uri: str, handle: Any, operation_timeout_s: float) -> None:
        self.uri = uri
        self.handle = handle
        self._timeout_s = operation_timeout_s

    def search(self, base: str, scope: int, filter_: str, attributes: list[str]) -> list[Found]:
        """The entries that match; raises `NoSuchObject`, `Failed`, `Invalid`, or `Unavailable` (the time limit, too).

        References to other servers are not followed and not returned.
        """
        with translated(f"{self.uri}: search at {base!r}"):
            message = self.handle.search_ext(base, scope, filter_, attributes)
            _, found, _, _ = self.handle.result3(message, timeout=self._timeout_s)
        return [(dn, values) for dn, values in found if dn is not None]

    def write(self, doing: str, send: Callable[[Any], int]) -> Outcome:
        """Write once; `send` sends the request on python-ldap's handle and returns the message ID.

        Raises an error where nothing is written: before the request is sent, or refused by the server (`outcome_of`).
        """
        doing = f"{self.uri}: {doing}"
        with translated(doing):
            message = send(self.handle)
        sent_at = time.monotonic()
        try:
            self.handle.result3(message, timeout=self._timeout_s)
        except (ldap.LDAPError, *UNREADABLE) as error:
            outcome = outcome_of(doing, error)
            return replace(outcome, sent_at=sent_at) if isinstance(outcome, Unknown) else outcome
        return Done()

    def close(self) -> None:
        """Unbind and close without waiting for an answer."""
        with contextlib.suppress(ldap.LDAPError, *UNREADABLE):  # the connection is already gone
            self.handle.unbind_ext()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def entry_of(dn: str, values: dict[str, list[bytes]]) -> Entry:
    """The entry of a search result; raises `Invalid` when its DN is malformed or entryUUID is missing."""
    attributes = {name.lower(): tuple(each) for name, each in values.items()}
    uuid = _operational(attributes.pop("entryuuid", ()))
    if not uuid:
        raise Invalid(f"{dn} shows no entryUUID; this identity must be allowed to read it")
    csn = _operational(attributes.pop("entrycsn", ()))
    return Entry(EntryUUID(uuid.lower()), DN.parse(dn), csn, attributes)


def _operational(values: tuple[bytes, ...]) -> str:
    """The one value of an operational attribute, empty where the server shows none."""
    return values[0].decode("ascii", errors="replace") if values else ""


def connect(uri: str, settings: DirectorySettings) -> Connection:
    """A bound connection to one server.

    Raises `Invalid` for a wrong setting, `Unavailable` or `Failed` where the server does not answer or refuses.
    """
    where = DirectoryUri.parse(uri)
    _require_resolved(uri, where)
    try:
        handle = ldap.initialize(where.written())
    except (ldap.LDAPError, *UNREADABLE) as error:
        raise Invalid(f"{uri!r} is refused as a URI by libldap; write it in another form") from error
    connection = Connection(uri, handle, settings.operation_timeout_s)
    try:
        _set_options(uri, handle, settings)
        with _secured(uri, handle, settings):
            _bind(uri, handle, settings)
        _limit_silence(handle, settings)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_options(uri: str, handle: Any, settings: DirectorySettings) -> None:
    """Set options (ldap_set_option(3)); in seconds but for the TCP user timeout (RFC 5482), in milliseconds."""
    uses_tls = _uses_tls(uri, settings)
    silence_s = max(1, round(settings.silence_timeout_s))
    options = {
        ldap.OPT_PROTOCOL_VERSION: ldap.VERSION3,
        ldap.OPT_REFERRALS: ldap.OPT_OFF,
        ldap.OPT_RESTART: ldap.OPT_ON,  # a signal to the process does not end an operation
        ldap.OPT_TIMEOUT: settings.operation_timeout_s,
        ldap.OPT_TCP_USER_TIMEOUT: _milliseconds(settings.connect_timeout_s),
        ldap.OPT_X_KEEPALIVE_IDLE: silence_s,
        ldap.OPT_X_KEEPALIVE_INTERVAL: max(1, silence_s // _KEEPALIVE_PROBES),
        ldap.OPT_X_KEEPALIVE_PROBES: _KEEPALIVE_PROBES,
    }
    if not uses_tls:  # with it libldap keeps a core busy during a TLS handshake
        options[ldap.OPT_NETWORK_TIMEOUT] = settings.connect_timeout_s
    with translated(f"{uri}: options"):
        for option, value in options.items():
            handle.set_option(option, value)
    if uses_tls:
        _set_tls_options(uri, handle, settings)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _set_tls_options(uri: str, handle: Any, settings: DirectorySettings) -> None:
    files = {
        ldap.OPT_X_TLS_CACERTFILE: settings.ca_file or _authorities(),
        ldap.OPT_X_TLS_CERTFILE: settings.cert_file,
        ldap.OPT_X_TLS_KEYFILE: settings.key_file,
    }
    for option, name in files.items():
        if name:
            _require_readable(name)
            handle.set_option(option, name)
    handle.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
    try:
        handle.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # last: it reads the files named before
    except (ldap.LDAPError, ValueError) as error:
        names = ", ".join(name for name in files.values() if name)
        raise Invalid(
            f"{uri}: TLS cannot use {names}; they must be PEM files, the key that of the certificate"
        ) from error


def _authorities() -> str:
    """The CA file that ldap.conf(5) names, else that of the system; a new TLS context has neither by default."""
    named: str | None = ldap.get_option(ldap.OPT_X_TLS_CACERTFILE)
    return named or (_SYSTEM_AUTHORITIES if Path(_SYSTEM_AUTHORITIES).exists() else "")


def _uses_tls(uri: str, settings: DirectorySettings) -> bool:
    return DirectoryUri.parse(uri).uses_tls(starttls=settings.starttls)


def _require_resolved(uri: str, where: DirectoryUri) -> None:
    """Raise `Unavailable` where the host name does not resolve: the error of libldap does not say so."""
    if not where.host:
        return
    try:
        socket.getaddrinfo(where.host, where.tcp_port, type=socket.SOCK_STREAM)
    except OSError as error:
        remedy = "check the name, and the resolver of this machine"
        raise Unavailable(f"{uri}: {where.host} does not resolve ({error.strerror}); {remedy}") from error


@contextlib.contextmanager
def _secured(uri: str, handle: Any, settings: DirectorySettings) -> Iterator[None]:
    """Limit the TLS handshakes within: ldaps:// makes one with its first operation; StartTLS is made here."""
    if not _uses_tls(uri, settings):
        yield
        return
    where = DirectoryUri.parse(uri)
    limit_s = settings.connect_timeout_s + settings.operation_timeout_s
    with _handshake_within(limit_s, uri, where.tcp_port):
        if where.scheme == "ldap":
            with translated(f"{uri}: StartTLS ({_trust(settings)})"):
                handle.start_tls_s()
        yield


def _trust(settings: DirectorySettings) -> str:
    """How the server's certificate is checked, for messages: an error of libldap does not say that it was that."""
    return f"its certificate must name the host and be signed by {settings.ca_file or 'an authority of the system'}"


@contextlib.contextmanager
def _handshake_within(limit_s: float, uri: str, port: int) -> Iterator[None]:
    """End a handshake with `port` that takes longer than the limit; raise `Unavailable` then."""
    before, done, late = set(_sockets()), threading.Event(), threading.Event()

    def watch() -> None:
        wait_s = limit_s
        while not done.wait(wait_s):
            late.set()
            for name, descriptor in _sockets().items():
                if name not in before:
                    _shut_if_to(port, descriptor)
            wait_s = _NEXT_HANDSHAKE_S

    watcher = threading.Thread(target=watch, name="ldap-handshake", daemon=True)
    watcher.start()
    try:
        yield
    except RelocdError as error:
        if late.is_set():
            raise Unavailable(f"{uri}: no TLS handshake within {limit_s:g} s; the server hangs") from error
        raise
    finally:
        done.set()
        watcher.join()


def _sockets() -> dict[str, int]:
    """The sockets of this process: descriptor by the unique name that the kernel gives (`socket:[8712]`)."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # another thread has closed it
            found[str(path.readlink())] = int(path.name)
    return {name: descriptor for name, descriptor in found.items() if name.startswith("socket:")}


def _shut_if_to(port: int, descriptor: int) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as same:
        if same.family in {socket.AF_INET, socket.AF_INET6} and same.getpeername()[1] == port:
            same.shutdown(socket.SHUT_RDWR)


def _bind(uri: str, handle: Any, settings: DirectorySettings) -> None:
    suffix = f" over TLS ({_trust(settings)})" if DirectoryUri.parse(uri).scheme == "ldaps" else ""
    if settings.bind == "external":
        with translated(f"{uri}: SASL EXTERNAL bind{suffix}"):
            handle.sasl_bind_s("", "EXTERNAL", "")
        return
    # RFC 4513, section 5.1.2: a DN without a password would be an unauthenticated bind.
    dn, secret = (settings.bind_dn, password(settings)) if settings.bind == "simple" else ("", "")
    with translated(f"{uri}: bind as {dn or 'anonymous'}{suffix}"):
        message = handle.simple_bind(dn, secret)
        handle.result3(message, timeout=settings.operation_timeout_s)


def password(settings: DirectorySettings) -> str:
    """The first line of the password file; raises `Invalid` for an unusable file."""
    if not settings.password_file:
        raise Invalid("bind = 'simple' needs `password_file`")
    return first_line(Path(settings.password_file))


def check_files(settings: DirectorySettings) -> Iterator[tuple[str, str]]:
    """Problems with the files in the settings, by their keys."""
    for key in ("ca_file", "cert_file", "key_file"):
        try:
            _require_readable(getattr(settings, key) or os.devnull)
        except Invalid as error:
            yield key, str(error)
    try:
        if settings.bind == "simple":
            password(settings)
    except Invalid as error:
        yield "password_file", str(error)


def _require_readable(name: str) -> None:
    with _opened(name):
        pass


@contextlib.contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """An opened file; opening does not wait, as it would for the writer of a pipe."""
    try:
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            yield file
    except OSError as error:
        raise Invalid(f"{name} cannot be read: {error.strerror}") from error


def _limit_silence(handle: Any, settings: DirectorySettings) -> None:
    """Limit how long sent data may stay unacknowledged, and how long a read or write of the socket may wait.

    A server that hangs while it sends leaves half a message behind; libldap would wait for the other half for ever,
    even where it should only poll.
    """
    limit = struct.pack("ll", int(settings.operation_timeout_s), int(settings.operation_timeout_s % 1 * 1_000_000))
    with socket.socket(fileno=os.dup(handle.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        if same.family != socket.AF_UNIX:
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _milliseconds(settings.silence_timeout_s))
