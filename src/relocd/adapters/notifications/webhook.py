"""A web server that gets each notification as the body of an HTTP POST.

The HTTP client is that of the standard library. It blocks, so each attempt has a thread, and a limit for the whole of
it: a server may take a connection, or send one byte now and then, for ever. At the limit the socket is shut down, which
ends the thread. Only the name of the server is shown: the path of such a URL is often a secret.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from relocd import __version__
from relocd.errors import Failed, Unavailable

__all__ = ["WebhookTarget"]

_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": f"relocd/{__version__}", "Connection": "close"}
_LATER: Final = frozenset({408, 425, 429})


class WebhookTarget:
    """Posts to one URL; TLS certificates are verified, by `ca_file` or the system's authorities."""

    name = "webhook"

    def __init__(self, url: str, ca_file: str, timeout_s: float) -> None:
        self._parts = urlsplit(url)
        self._ca_file = ca_file
        self._timeout_s = timeout_s
        self._attempt: _Attempt | None = None
        self.shown = f"{self._parts.scheme}://{self._parts.hostname}"

    async def send(self, body: bytes) -> str:
        """Post once; returns the answer, raises `Unavailable` where another attempt may work, else `Failed`."""
        if self._attempt is not None and self._attempt.is_alive():
            raise Unavailable(f"{self.shown}: the attempt before still hangs, perhaps in the lookup of the name")
        self._attempt = attempt = _Attempt(self._connection, self._target, body)
        attempt.start()
        try:
            async with asyncio.timeout(self._timeout_s):
                status, reason = await attempt.answer
        except TimeoutError as error:
            raise Unavailable(f"{self.shown}: no answer within {self._timeout_s:g} s") from error
        except (OSError, HTTPException, ValueError) as error:
            raise Unavailable(f"{self.shown}: {type(error).__name__}: {error}") from error
        finally:
            attempt.end()
        answer = f"{status} {reason}".rstrip()
        if 200 <= status < 300:
            return answer
        raise (Unavailable if status >= 500 or status in _LATER else Failed)(f"{self.shown} answers {answer}")

    @property
    def _target(self) -> str:
        path = self._parts.path or "/"
        return f"{path}?{self._parts.query}" if self._parts.query else path

    def _connection(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return HTTPConnection(host, port, timeout=self._timeout_s)
        context = ssl.create_default_context(cafile=self._ca_file or None)
        return HTTPSConnection(host, port, timeout=self._timeout_s, context=context)


class _Attempt(threading.Thread):
    """One POST in a thread that keeps no process from ending; `answer` is its status and reason."""

    def __init__(self, connect: Callable[[], HTTPConnection], target: str, body: bytes) -> None:
        super().__init__(name="webhook", daemon=True)
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[tuple[int, str]] = self._loop.create_future()
        self._connect = connect
        self._post = target, body
        self._connection: HTTPConnection | None = None

    def run(self) -> None:
        """Post, and bring the answer to the event loop."""
        target, body = self._post
        try:
            self._connection = connection = self._connect()
            connection.request("POST", target, body, _HEADERS)
            found = connection.getresponse()
            self._bring(self._set, (found.status, found.reason))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is brought to who waits
            self._bring(self._refuse, error)
        finally:
            if self._connection is not None:
                self._connection.close()

    def end(self) -> None:
        """End it, wherever it waits for the server."""
        connection = self._connection
        found = None if connection is None else getattr(connection, "sock", None)
        if found is not None:
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
        self.answer.cancel()

    def _bring(self, bring: Callable[[Any], None], value: object) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(bring, value)

    def _set(self, answer: tuple[int, str]) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def _refuse(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
