"""The agent's log: constant messages and their facts, one line for each change made, as text or as JSON.

Facts are given as `extra={"fields": {...}}`. What becomes of them in systemd's journal:
`relocd.adapters.local.journal`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from relocd.model.entries import Problem
from relocd.printable import one_line, several_lines

__all__ = ["Said", "begin_logging", "log_problems", "stream_handler"]

_log = logging.getLogger(__name__)


class Said(logging.Formatter):
    """The message and its facts as `key=value`, then the traceback where there is one: no time, no level."""

    def format(self, record: logging.LogRecord) -> str:
        """A record on one line but for its traceback."""
        fields: dict[str, object] = getattr(record, "fields", {})
        line = " ".join([one_line(record.getMessage()), *(f"{key}={_value(value)}" for key, value in fields.items())])
        return f"{line}\n{several_lines(self.formatException(record.exc_info))}" if record.exc_info else line


class _Lines(Said):
    def format(self, record: logging.LogRecord) -> str:
        return f"{_time(record, 'microseconds')} {record.levelname.lower()} {super().format(record)}"


class _JsonLines(logging.Formatter):
    """One object a line, facts beside the rest; ASCII only, so that no locale of the process spoils it."""

    def format(self, record: logging.LogRecord) -> str:
        own = {
            "timestamp": _time(record, "milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            own["exception"] = self.formatException(record.exc_info)
        fields: dict[str, object] = getattr(record, "fields", {})
        return json.dumps(own | {f"{key}_" if key in own else key: value for key, value in fields.items()}, default=str)


_FORMATTERS: Final = {"text": _Lines, "json": _JsonLines}


def stream_handler(form: Literal["text", "json"]) -> logging.Handler:
    """A handler that writes lines to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_FORMATTERS[form]())
    return handler


def begin_logging(level: str, handler: logging.Handler) -> None:
    """Log from `level` on (debug, info, warning, error) by this handler only; libraries only from warnings on.

    No handler shows threads and processes, so no record looks them up.
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("relocd").setLevel(level.upper())


def _time(record: logging.LogRecord, precision: str) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec=precision)


def _value(value: object) -> str:
    """A value on one line: plain where it can be, else quoted as in JSON."""
    text = str(value)
    return text if text and text.isprintable() and not {" ", '"', "="} & set(text) else json.dumps(text)


def log_problems(before: Sequence[Problem], now: Sequence[Problem]) -> None:
    """Log which problems of the directory there are now that there were not before, and which are gone."""
    if now is before:
        return
    for problem in now:
        if problem not in before:
            _log.warning("directory has a problem", extra={"fields": _fields(problem)})
    for problem in before:
        if problem not in now:
            _log.info("problem of the directory is gone", extra={"fields": _fields(problem)})


def _fields(problem: Problem) -> Mapping[str, object]:
    return {"subject": problem.subject, "problem": problem.message}
