"""One process that renders templates, as the agent sees it; `render_worker` is the other end and says what is sent.

The process has one socket for its input and output. Nothing else of the agent reaches it, and when the agent is gone
its input ends, and so does it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from relocd.errors import Failed
from relocd.model.declared import Declared

__all__ = ["RenderAnswer", "Gone", "Request", "RenderProcess"]

_COMMAND: Final = (sys.executable, "-I", "-m", "relocd.adapters.templates.render_worker")
_START_S: Final = 10.0
_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Request:
    """A template to render: `source` below `folder`, whose content has the `digest`.

    `parameters` and `secrets` are the bounds of those that the set declares.
    """

    folder: str
    digest: str
    source: str
    context: Mapping[str, object]
    limit_s: float
    parameters: Sequence[Declared] = ()
    secrets: Sequence[Declared] = ()


@dataclass(frozen=True, slots=True)
class RenderAnswer:
    """A rendered template; `error` is empty when it was rendered."""

    text: str = ""
    secret: bool = False
    error: str = ""


class Gone(Exception):
    """The process ended instead of answering."""


class RenderProcess:
    """One process; `in_step` while every request has had its whole answer."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.in_step = True

    @classmethod
    async def started(cls) -> RenderProcess:
        """A worker that is ready; raises `Failed` when there is none within ten seconds."""
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                reader, writer = await asyncio.open_unix_connection(sock=ours)
                try:
                    process = _process(theirs)
                except OSError:
                    writer.close()
                    raise
        except OSError as error:
            raise Failed(f"cannot start the process that renders templates: {error.strerror}") from error
        worker = cls(process, reader, writer)
        try:
            async with asyncio.timeout(_START_S):
                await worker._answer()
        except (TimeoutError, Gone) as error:
            await worker.end()
            raise Failed("the process that renders templates does not start; standard error says why") from error
        except BaseException:
            await worker.end()
            raise
        return worker

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    async def ask(self, request: Request) -> RenderAnswer:
        """Send a request and wait for its answer; raises `Gone` when the process ends instead."""
        self.in_step = False
        body = msgspec.json.encode(request)
        try:
            self._writer.write(_LENGTH.pack(len(body)) + body)
            await self._writer.drain()
        except OSError as error:
            raise Gone from error
        answer = await self._answer()
        self.in_step = True
        return answer

    async def _answer(self) -> RenderAnswer:
        """The next message of the process."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            return msgspec.json.decode(await self._reader.readexactly(length), type=RenderAnswer)
        except (asyncio.IncompleteReadError, OSError, msgspec.DecodeError) as error:
            raise Gone from error

    async def end(self) -> None:
        """Kill the process, which has nothing to lose, and wait until it is gone."""
        self._process.kill()
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        await asyncio.to_thread(self._process.wait)


def _process(end: socket.socket) -> subprocess.Popen[bytes]:
    """The process with that socket as its input and output.

    Not asyncio's: that one may lose the status of a process that it kills while it dies, and says so in the log.
    """
    return subprocess.Popen(_COMMAND, stdin=end.fileno(), stdout=end.fileno(), env={}, start_new_session=True)
