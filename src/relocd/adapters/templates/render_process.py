"""One process that renders templates, as the agent sees it; `render_worker` is the other end and says what is sent.

The process has one socket for its input and output. Nothing else of the agent reaches it, and when the agent is gone
its input ends, and so does it.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Final

import msgspec

from relocd.errors import Failed
from relocd.model.template_set import Declared
from relocd.reconcile.health import PlannedText
from relocd.reconcile.spec import PlannedFile
from relocd.reconcile.template_context import TemplateAddress, TemplateContext

__all__ = ["Gone", "RenderAnswer", "RenderProcess", "Request", "source_of", "template_of"]

_COMMAND: Final = (sys.executable, "-I", "-m", "relocd.adapters.templates.render_worker")
_START_S: Final = 10.0
_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Template:
    """A template: `source` below `folder`, whose content has the `digest`; or a `text` of its manifest.

    `parameters` and `secrets` are the bounds of those that the set declares. A text may see an `address`.
    """

    folder: str
    digest: str
    source: str
    parameters: Sequence[Declared] = ()
    secrets: Sequence[Declared] = ()
    text: str | None = None
    address: Mapping[str, str | int] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Templates to render one after the other with one context, each within `limit_s` of processor time."""

    context: TemplateContext
    templates: Sequence[Template]
    limit_s: float

    def encoded(self) -> bytes:
        """As JSON. The context has its own service among `services`: `service` is only the identity there."""
        context = {each.name: getattr(self.context, each.name) for each in fields(self.context)}
        context["service"] = None if self.context.service is None else self.context.service.uuid
        return msgspec.json.encode({"context": context, "templates": self.templates, "limit_s": self.limit_s})


@dataclass(frozen=True, slots=True)
class RenderAnswer:
    """A rendered template; `error` is empty when it was rendered."""

    text: str = ""
    secret: bool = False
    error: str = ""


class Gone(Exception):
    """The process ended instead of answering."""


class RenderProcess:
    """One process, which is asked for one request after the other."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._unanswered = 1  # it says first that it is ready

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
                await worker.answer()
        except (TimeoutError, Gone) as error:
            await worker.end()
            raise Failed("the process that renders templates does not start; standard error says why") from error
        except BaseException:
            await worker.end()
            raise
        return worker

    @property
    def in_step(self) -> bool:
        """Whether every request has had all its answers."""
        return not self._unanswered

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    async def begin(self, request: Request) -> None:
        """Send a request, whose answers come in order; raises `Gone` when the process has ended."""
        body = request.encoded()
        self._unanswered = len(request.templates)
        try:
            self._writer.write(_LENGTH.pack(len(body)) + body)
            await self._writer.drain()
        except OSError as error:
            raise Gone from error

    async def answer(self) -> RenderAnswer:
        """The next answer; raises `Gone` when the process ends instead."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            found = msgspec.json.decode(await self._reader.readexactly(length), type=RenderAnswer)
        except (asyncio.IncompleteReadError, OSError, msgspec.DecodeError) as error:
            raise Gone from error
        self._unanswered -= 1
        return found

    async def was_too_slow(self) -> bool:
        """Whether the process, which is `Gone`, was ended by its limit of processor time."""
        self._process.kill()  # nothing happens to one that has ended
        return await asyncio.to_thread(self._process.wait) == -signal.SIGPROF

    async def end(self) -> None:
        """Kill the process, which has nothing to lose, and wait until it is gone."""
        self._process.kill()
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        await asyncio.to_thread(self._process.wait)


def template_of(planned: PlannedFile | PlannedText) -> Template:
    """The template of a file, or of a text of a manifest."""
    found = planned.template_set
    template = Template(str(found.folder), found.digest, source_of(planned), found.parameters, found.secrets)
    if isinstance(planned, PlannedFile):
        return template
    return replace(template, text=planned.text, address=_seen(planned.address))


def source_of(planned: PlannedFile | PlannedText) -> str:
    """What a template is called in messages: its file, or its place in the manifest."""
    return planned.spec.source if isinstance(planned, PlannedFile) else planned.where


def _seen(address: TemplateAddress | None) -> Mapping[str, str | int] | None:
    if address is None:
        return None
    host = f"[{address.ip}]" if address.version == 6 else address.ip
    return {"ip": address.ip, "prefix": address.prefix, "version": address.version, "host": host}


def _process(end: socket.socket) -> subprocess.Popen[bytes]:
    """The process with that socket as its input and output.

    Not asyncio's: that one may lose the status of a process that it kills while it dies, and says so in the log.
    """
    return subprocess.Popen(_COMMAND, stdin=end.fileno(), stdout=end.fileno(), env={}, start_new_session=True)
