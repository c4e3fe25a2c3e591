"""The port `Commands`: programs by argument list, each in a session and process group of its own, with a time limit.

A program gets a small fixed environment, `/` as its folder, and what it is given as stdin, else an empty one; never a
shell. It has ended when its first process has: background processes may go on and keep its output open. At the time
limit the whole group is killed. Where even that does not end it, because the kernel waits for a disk that is gone, the
same program is not started again until it has ended: programs that hang do not pile up.

Starting costs the agent 0.2 ms of CPU where asyncio's own subprocesses cost 0.5: `Popen` starts by vfork whatever the
agent's size (a plain fork of 120 MB: 2 ms), and a pidfd wakes the event loop at the end without a thread.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from shutil import which
from typing import Final

from relocd.errors import Failed, Invalid

__all__ = ["Ended", "ProcessCommands", "ended"]

# At the end the programs of this installation, which the shipped template sets run.
_PATH: Final = f"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{sysconfig.get_path('scripts')}"
_ENVIRONMENT: Final = {"PATH": _PATH, "LANG": "C.UTF-8"}
_UMASK: Final = 0o022
_PIPE_BYTES: Final = 65536  # the capacity of a pipe (pipe(7)): one read empties it
_REAP_S: Final = 1.0
_undying: Final[dict[tuple[str, ...], int]] = {}
"""The programs that were killed and have not ended, and their process ids."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: `status` is its exit status, or minus the signal that killed it.

    The end of its output is raw: a secret may be in it, so it goes into `RelocdError.words` and into no message.
    """

    status: int
    output: str = field(repr=False)

    @property
    def reason(self) -> str:
        """How it ended, as a part of a sentence."""
        return f"was killed by {_signal_name(-self.status)}" if self.status < 0 else f"ended with status {self.status}"


class ProcessCommands:
    """Programs that have to succeed."""

    def finds(self, program: str) -> bool:
        """Whether a program of that name, or at that path, could be started."""
        return which(program, path=_PATH) is not None

    async def run(self, arguments: Sequence[str], timeout_s: float) -> None:
        """Run a program to its end without a shell; raises `Failed` with the output as the error's words."""
        result = await ended(arguments, timeout_s)
        if result.status != 0:
            raise Failed(f"{shlex.join(arguments)} {result.reason}", result.output)


async def ended(arguments: Sequence[str], timeout_s: float, given: bytes = b"") -> Ended:
    """Run a program to its end and return how it ended; `given` is what it may read from its standard input.

    Raises `Failed` when the program cannot be started or takes longer than `timeout_s`, `Invalid` for arguments that
    no program can get. Whoever cancels this kills the program.
    """
    async with _running(arguments, given) as program:
        # Unlike awaiting it, this leaves the future alone when the time is up or the caller is cancelled.
        await asyncio.wait((program.status,), timeout=timeout_s)
        output = program.output()
        if not program.status.done():
            raise Failed(f"{shlex.join(arguments)} did not end within {timeout_s:g} s and was killed", output)
        return Ended(program.status.result(), output)


@asynccontextmanager
async def _running(arguments: Sequence[str], given: bytes) -> AsyncIterator[_Program]:
    program = _started(arguments, given)
    try:
        yield program
    finally:
        await program.end()


def _started(arguments: Sequence[str], given: bytes) -> _Program:
    if not arguments:
        raise Invalid("an empty argument list names no program")
    if (pid := _undying.get(tuple(arguments))) is not None:
        raise Failed(
            f"{shlex.join(arguments)} is not started again: process {pid} of an earlier run was killed and has not "
            f"ended; look at what it waits for"
        )
    with ExitStack() as undo:
        try:
            reading, writing = os.pipe()
            undo.callback(os.close, reading)
            try:
                process = _process(arguments, writing, given)
            finally:
                os.close(writing)
            undo.callback(process.wait)
            undo.callback(process.kill)
            handle = os.pidfd_open(process.pid)
        except OSError as error:
            raise Failed(f"{arguments[0]} cannot be started: {error.strerror}") from error
        except ValueError as error:
            raise Invalid(f"{shlex.join(arguments)!a} cannot be arguments: {error}") from error
        undo.pop_all()
    return _Program(tuple(arguments), process, handle, reading)


def _process(arguments: Sequence[str], output: int, given: bytes) -> subprocess.Popen[bytes]:
    with _input(given) as standard_input:
        return _popen(arguments, output, standard_input)


@contextmanager
def _input(given: bytes) -> Iterator[int]:
    """A file in memory with what a program may read: nobody has to write while it reads, or does not."""
    if not given:
        yield subprocess.DEVNULL
        return
    file = os.memfd_create("input")
    try:
        os.write(file, given)
        os.lseek(file, 0, os.SEEK_SET)
        yield file
    finally:
        os.close(file)


def _popen(arguments: Sequence[str], output: int, standard_input: int) -> subprocess.Popen[bytes]:
    # SIGPIPE stays ignored, as in systemd's services (IgnoreSIGPIPE=): a daemon that keeps the output open must not die
    # at its first line after the agent has stopped reading.
    return subprocess.Popen(
        arguments,
        stdin=standard_input,
        stdout=output,
        stderr=output,
        cwd="/",
        env=_ENVIRONMENT,
        umask=_UMASK,
        start_new_session=True,  # its own group, and no terminal for password prompts
        restore_signals=False,
    )


class _Program:
    """A running program, the leader of its group; `status` is a future that is done when it has ended.

    The event loop reads its output as it comes, so that a talkative program is never held up, and reaps it when it
    ends, even when nobody waits any more.
    """

    def __init__(self, arguments: tuple[str, ...], process: subprocess.Popen[bytes], handle: int, output: int) -> None:
        self._arguments = arguments
        self._loop = asyncio.get_running_loop()
        self.status: asyncio.Future[int] = self._loop.create_future()
        self._process = process
        self._handle = handle
        self._output: int | None = output
        self._tail = b""
        os.set_blocking(output, False)
        self._loop.add_reader(output, self._read)
        self._loop.add_reader(handle, self._reap)

    async def end(self) -> None:
        """Kill the group of a program that still runs, and wait for its death, but not for one that cannot die."""
        if not self.status.done():
            os.killpg(self._process.pid, signal.SIGKILL)
            try:
                await asyncio.wait((self.status,), timeout=_REAP_S)
            finally:
                if not self.status.done():
                    _undying[self._arguments] = self._process.pid
        self._close_output()

    def output(self) -> str:
        """The end of the output so far."""
        self._read()
        return self._tail.decode(errors="replace")

    def _read(self) -> None:
        if self._output is None:
            return
        try:
            found = os.read(self._output, _PIPE_BYTES)
        except BlockingIOError:
            return
        self._tail = (self._tail + found)[-_PIPE_BYTES:]
        if not found:
            self._close_output()

    def _close_output(self) -> None:
        if self._output is not None:
            self._loop.remove_reader(self._output)
            os.close(self._output)
            self._output = None

    def _reap(self) -> None:
        self._loop.remove_reader(self._handle)
        os.close(self._handle)
        _undying.pop(self._arguments, None)
        self.status.set_result(self._process.wait())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
