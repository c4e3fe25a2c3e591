"""The HTTP server of the metrics: that of the standard library, with limits on connections and idle time.

Clients may hold connections open. Each costs the agent a descriptor and a thread, and without descriptors it cannot
work. So there are never more than a few: a further one ends the oldest. An idle one is closed after some seconds.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from socketserver import TCPServer, ThreadingMixIn
from threading import Lock, Thread
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

__all__ = ["MetricsServer"]

_log = logging.getLogger(__name__)
_MOST: Final = 16
_SILENCE_S: Final = 5.0


class _RequestHandler(WSGIRequestHandler):
    """One request; its connection has a time limit, and it is not logged."""

    timeout = _SILENCE_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library gave it
        """Log no requests."""


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Serves `app` at host and port in threads of its own; raises `OSError` when it cannot listen there."""

    daemon_threads = True
    request_queue_size = 128  # a refused client retries only after a second

    def __init__(self, host: str, port: int, app: Callable[..., Iterable[bytes]]) -> None:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        self.address_family = family
        self._connections: dict[socket.socket, None] = {}
        self._lock = Lock()
        super().__init__(address[:2], _RequestHandler)  # type: ignore[arg-type]  # of both families it is a name and a number
        self.set_app(app)
        self._thread = Thread(target=self.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def server_bind(self) -> None:
        """Bind without a lookup of this host's name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Accept a connection, in place of the oldest one where there are enough."""
        with self._lock:
            oldest = next(iter(self._connections)) if len(self._connections) >= _MOST else None
            if oldest is not None:
                del self._connections[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)  # this wakes its thread, which closes it
            self._connections[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the library's signature
        """Log a broken or idle connection only for debugging."""
        _log.debug("a connection for metrics ended", exc_info=True)

    def end(self) -> None:
        """Stop listening; blocks for up to half a second."""
        self.shutdown()
        self.server_close()
        self._thread.join()
