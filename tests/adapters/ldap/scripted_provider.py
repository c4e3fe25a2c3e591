"""A provider that says what it is told to: for what a real slapd says only on a bad day, and for what it never may."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from uuid import UUID

from relocd.sync.messages import SYNC_INFO, SYNC_REQUEST, SYNC_STATE

COOKIE = "rid=000,csn=20260101120000.000001Z#000000#000#000000"
WEB, NTP = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
_BIND, _SEARCH = 0x60, 0x63


def element(tag, *content):
    """One BER element (X.690, section 8.1)."""
    octets = b"".join(content)
    size = bytes([len(octets)]) if len(octets) < 128 else b"\x82" + len(octets).to_bytes(2)
    return bytes([tag]) + size + octets


def text(value):
    return element(0x04, value if isinstance(value, bytes) else value.encode())


def result(tag, code=0, why=""):
    """An LDAPResult (RFC 4511, section 4.1.9)."""
    return element(tag, element(0x0A, bytes([code])), text(""), text(why))


def done(code=0, why=""):
    """The end of the search."""
    return result(0x65, code, why), b""


def control(oid, value):
    return element(0xA0, element(0x30, text(oid), text(value)))


def entry(dn, uuid, state=1, cookie=None):
    """A SearchResultEntry with its Sync State control; without one when `uuid` is None."""
    attributes = element(0x30, element(0x30, text("cn"), element(0x31, text("x"))))
    tail = text(cookie) if cookie else b""
    controls = b""
    if uuid:
        value = element(0x30, element(0x0A, bytes([state])), text(UUID(uuid).bytes), tail)
        controls = control(SYNC_STATE, value)
    return element(0x64, text(dn), attributes), controls


def raw_entry(dn, attributes=b"", value=None, oid=SYNC_STATE):
    """A SearchResultEntry of any name, attributes and control; `value` None leaves the control without one."""
    filled = b"" if value is None else text(value)
    return element(0x64, text(dn), element(0x30, attributes)), element(0xA0, element(0x30, text(oid), filled))


def attribute(name, *values):
    return element(0x30, text(name), element(0x31, *map(text, values)))


def state_value(uuid, state=1, cookie=None):
    """The value of a Sync State control; `uuid` as octets."""
    return element(0x30, element(0x0A, bytes([state])), text(uuid), text(cookie) if cookie is not None else b"")


def malformed_entry(dn):
    return element(0x64, text(dn), element(0x30)), control(SYNC_STATE, b"\x30\x7f")


def info(value):
    """An intermediate response (RFC 4511, section 4.13) that is a Sync Info message."""
    return element(0x79, element(0x80, SYNC_INFO.encode()), element(0x81, value)), b""


def refresh_done(cookie=COOKIE):
    return info(element(0xA1, text(cookie)))


def foreign_info():
    """An intermediate response that this client knows nothing of."""
    return element(0x79, element(0x80, b"1.2.3.4"), element(0x81, b"x")), b""


def reference(uri):
    return element(0x73, text(uri)), b""


@contextmanager
def scripted(*sessions, at="127.0.0.1"):
    """A server on a free port of an address of this host; the block is given its URI.

    Each connection gets the next session's messages, the last one for ever.
    """
    with socket.create_server((at, 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, list(sessions)), daemon=True)
        thread.start()
        try:
            yield f"ldap://{at}:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _serve(server, sessions):
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        messages = sessions.pop(0) if len(sessions) > 1 else sessions[0]
        threading.Thread(target=_talk, args=(connection, messages), daemon=True).start()


def _talk(connection, messages):
    """Answer requests, which are short enough to arrive whole; only a persistent search is told anything."""
    with connection, suppress(OSError):  # the client may have had enough
        while request := connection.recv(4096):
            number, operation = _number_and_operation(request)
            if operation == _BIND:
                answers = [(result(0x61), b"")]
            elif operation == _SEARCH:
                answers = messages if SYNC_REQUEST.encode() in request else [done()]
            else:
                return
            with suppress(BrokenPipeError, ConnectionResetError):  # whoever has had enough of it
                for body, controls in answers:
                    connection.sendall(element(0x30, number, body, controls))


def _number_and_operation(request):
    """The message number as an element, and the tag of the operation."""
    at = 2 + (request[1] & 0x7F if request[1] & 0x80 else 0)
    after = at + 2 + request[at + 1]
    return request[at:after], request[after]
