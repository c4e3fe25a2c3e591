"""A kept connection: made when it is first needed, used in a thread of its own, dropped after an error.

It goes to the server of the present search, since another server may lag behind; while there is no search, to the first
one that answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from relocd.adapters.ldap.connection import Connection, connect
from relocd.errors import RelocdError, Unavailable
from relocd.model.settings import DirectorySettings

__all__ = ["KeptConnection", "OnKeptConnection"]

_Answer = TypeVar("_Answer")


class KeptConnection:
    """At most one connection. Only functions passed to `run` use the other members, but for `aclose` and `drop_soon`.

    `begin` is called first in the thread.
    """

    def __init__(
        self,
        settings: DirectorySettings,
        current_uri: Callable[[], str | None],
        name: str,
        begin: Callable[[], object] = bool,
    ) -> None:
        self._settings = settings
        self._current_uri = current_uri
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=begin)
        self._connection: Connection | None = None

    async def run(self, act: Callable[[], _Answer]) -> _Answer:
        """Run `act` in the thread, one at a time. It runs to its end, even when this call is cancelled."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, act)

    def drop_soon(self) -> None:
        """Close the connection once the present operation has ended; do not wait for that. The next one is new."""
        self._pool.submit(self.drop)

    async def aclose(self) -> None:
        """The same, for good."""
        self.drop_soon()
        self._pool.shutdown(wait=False)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection; it may be dead."""
        return self._connection is not None

    def get(self) -> Connection:
        """The connection, kept or new; raises `Unavailable` for every reason."""
        current = self._current_uri()
        if self._connection and current not in {None, self._connection.uri}:
            self.drop()
        if self._connection is None:
            self._connection = self._first([current] if current else self._settings.uris)
        return self._connection

    def drop(self) -> None:
        """Close the connection, if there is one."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def _first(self, uris: Sequence[str]) -> Connection:
        reasons = []
        for uri in uris:
            try:
                return connect(uri, self._settings)
            except RelocdError as error:
                reasons.append(str(error))
        raise Unavailable("; ".join(reasons))


class OnKeptConnection:
    """An adapter that works on a kept connection, and closes it when its context ends."""

    def __init__(self, kept: KeptConnection) -> None:
        self._kept = kept

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection once the present operation has ended; do not wait for that."""
        await self._kept.aclose()
