"""What the tests of the LDAP writer share: a directory with one service's state, and a server that may write it."""

import os
import socket
from contextlib import contextmanager

from relocd.adapters.ldap.reader import LdapReader
from relocd.adapters.ldap.writer import LdapWriter
from relocd.model.dn import DN
from relocd.model.writes import Increment, Modification, swap
from tests.adapters.ldap.lab import settings_for
from tests.integration.acl_lab import server_ldif
from tests.lab.slapd.ldif import record
from tests.lab.slapd.slapd import PASSWORD, Slapd, base_ldif, server_dn, service_dn, service_ldif

STATE = DN.parse(f"cn=state,{service_dn('web')}")
NODES = [server_dn(f"node{number}").encode() for number in range(4)]
DEAD = "ldap://127.0.0.1:1"
_FIRST = {"objectClass": "relocServiceState", "relocHolder": NODES[0].decode(), "relocGeneration": "7"}
_CONTENT = "".join([base_ldif(), service_ldif("web"), record(STATE.text, _FIRST), server_ldif(server_dn("node1"))])
_MAY_BIND = "access to attrs=userPassword by anonymous auth"


@contextmanager
def directory(*lines, rule="access to * by users write by * read", content=_CONTENT, **more):
    """A slapd in which node0 holds the service in generation 7, and everybody who binds may write."""
    with Slapd(content=content, database_lines=[_MAY_BIND, rule, *lines], durable=False, **more) as slapd:
        password = slapd.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o600)
        yield slapd


def writer_settings(slapd, *uris, **more):
    """Settings to write as the server node1, to this slapd unless told otherwise."""
    bind = {"bind": "simple", "bind_dn": server_dn("node1"), "password_file": str(slapd.folder / "password")}
    return settings_for(*(uris or [slapd.uri]), **(bind | more))


def writer_for(slapd, *uris, current=None, **more):
    return LdapWriter(writer_settings(slapd, *uris, **more), lambda: current)


async def read(slapd, dn=STATE):
    async with LdapReader(settings_for(slapd.uri), lambda: None) as reader:
        return await reader.by_dn(dn)


async def state(slapd):
    """Holder and generation as they are."""
    attributes = (await read(slapd)).attributes
    (generation,) = attributes["relocgeneration"]
    return attributes.get("relocholder", (None,))[0], int(generation)


def take(old, new, assertion=None):
    """The swap of a holder, with its generation."""
    return Modification(STATE, (*swap("relocHolder", old, new), Increment("relocGeneration")), assertion)


def socket_of(writer):
    """A second descriptor of the socket in use."""
    return socket.socket(fileno=os.dup(writer._kept.get().handle.fileno()))


def port_of(writer):
    """The connection in use, by its local port."""
    with socket_of(writer) as same:
        return same.getsockname()[1]
