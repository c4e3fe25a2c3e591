"""A time limit for TLS handshakes, for which libldap has none.

libldap limits the TCP connection and every LDAP operation, but it waits for ever in the handshake with a server that
hangs: the kernel of that server accepts the connection and acknowledges the data, so a limit of TCP does not help. And
python-ldap gives no access to the socket before the handshake is complete. So a second thread waits for the limit, then
shuts down the sockets to the server's port that this process opened meanwhile, and the handshake fails. (At worst that
ends another connection to the same server begun in the same seconds, which is then made again.)
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from relocd.errors import RelocdError, Unavailable

__all__ = ["handshake_within"]

_AGAIN_S: Final = 0.1
"""libldap continues with the next address of the server, where the handshake may hang as well."""


@contextmanager
def handshake_within(limit_s: float, uri: str, port: int) -> Iterator[None]:
    """End a handshake with `port` that takes longer than the limit; raise `Unavailable` then."""
    before, done, late = set(_sockets()), threading.Event(), threading.Event()

    def watch() -> None:
        wait_s = limit_s
        while not done.wait(wait_s):
            late.set()
            for name, descriptor in _sockets().items():
                if name not in before:
                    _shut_if_to(port, descriptor)
            wait_s = _AGAIN_S

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
