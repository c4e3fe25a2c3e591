"""systemd's journal as a log: a record by the native protocol, its facts as separate fields (RELOCD_SERVICE=...).

The library implements the protocol, with values of several lines and messages too long for a datagram. This file turns
records into fields and keeps the agent from waiting for a journal that does not accept them: such records are dropped
and counted, and the next accepted record is followed by their number. Without a journal, records go to another handler.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ and JOURNAL_STREAM in systemd.exec(5).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Final

from logging_journald import JournaldTransport

from relocd.printable import several_lines

__all__ = ["MESSAGE_IDS", "SOCKET", "JournalHandler", "is_journal"]

SOCKET: Final = "/run/systemd/journal/socket"
MESSAGE_IDS: Final[Mapping[str, str]] = {
    "agent starts": "6ad294efec3740829844b5d31177fede",
    "agent ends; everything stays as it is": "df82337bc0184074872d789d89a4537f",
    "the new configuration is not used": "6431eaf303f248d6a32cdf3221ef6fd7",
    "search started": "72fcda85f4bb4ef6b509a63394b5cb91",
    "refresh complete": "4a40009589a24b35834f87740c8ab148",
    "directory lost": "af226b93bb414d00a061be6e12866e72",
    "handover": "5433d14944f446d9914583c4f03df21e",
    "action failed": "7d704e12db13460e865104589d435254",
    "service has a problem": "a875273383484cfc9697915c2ab60429",
    "service has no problem any more": "546539edc65e404eaa75f1254c5968d8",
    "directory has a problem": "b773111b641447b5b87924d0ff40be25",
    "problem of the directory is gone": "a70e6d9aade74b979cd2ad15b8ad7203",
    "heartbeat": "1988f1a8f654470b8091a35359164255",
    "cluster fails over": "93fdd4bf9da248a2a9c5c25b8c11a738",
    "fence cleared: this server holds nothing": "5f3e75ef75274fd4abbce0228d010de3",
    "mode": "8e6b9fe1fbae475cb35a81e35cf1c32b",
    "this is a defect of relocd": "54f96373fdd7432296731ae49e0f6866",
}
"""MESSAGE_ID of the messages that people or programs may search for; never changed after a release."""
_PRIORITIES: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_SEND_S: Final = 0.1


def is_journal(fd: int, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a file descriptor is the stream to the journal that systemd has connected (JOURNAL_STREAM)."""
    named = environment.get("JOURNAL_STREAM", "")
    if not named:
        return False
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


class JournalHandler(logging.Handler):
    """Sends records to the journal, or to `instead` where there is none. Its formatter makes the MESSAGE."""

    def __init__(self, instead: logging.Handler, socket: str = SOCKET) -> None:
        super().__init__()
        self._instead = instead
        self._transport = JournaldTransport(socket, connected=False)  # finds a journal that was restarted
        self._transport.socket.settimeout(_SEND_S)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; it never raises and waits only for a moment."""
        try:
            self._send(record)
            self._tell_lost()
        except (TimeoutError, BlockingIOError):
            self._lost += 1
            self._transport.socket.settimeout(0)  # until it accepts a record again
        except OSError:
            self._instead.handle(record)
        except Exception:  # noqa: BLE001 - as in the handlers of logging: a log must not end the agent
            self.handleError(record)

    def close(self) -> None:
        """Close the socket."""
        self._transport.socket.close()
        super().close()

    def _tell_lost(self) -> None:
        if self._lost:
            self._transport.socket.settimeout(_SEND_S)
            self._send(_record("records were lost, the journal took none", {"count": self._lost}))
            self._lost = 0

    def _send(self, record: logging.LogRecord) -> None:
        fields = (*_facts(record), ("MESSAGE", self.format(record)), *_origin(record))
        self._transport.send([(key, _sendable(value)) for key, value in fields])


def _record(message: str, fields: Mapping[str, object]) -> logging.LogRecord:
    record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, None, None)
    record.fields = fields
    return record


def _facts(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    fields: Mapping[str, object] = getattr(record, "fields", {})
    yield "RELOCD_EVENT", record.getMessage()
    for key, value in fields.items():
        if value is not None:
            yield f"RELOCD_{key.upper()}", value
    if record.msg in MESSAGE_IDS:
        yield "MESSAGE_ID", MESSAGE_IDS[record.msg]


def _origin(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    yield "PRIORITY", _PRIORITIES.get(record.levelno, 5)
    yield "SYSLOG_IDENTIFIER", "relocd"
    yield "LOGGER", record.name
    yield "CODE_FILE", record.pathname
    yield "CODE_LINE", record.lineno
    yield "CODE_FUNC", record.funcName


def _sendable(value: object) -> str:
    """A value as text that is safe in a terminal, whatever a file name, an entry or a program contains."""
    return several_lines(str(value))
