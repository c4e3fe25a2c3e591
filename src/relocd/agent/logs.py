"""The agent's log on standard error: a constant message and facts as `key=value`, one line for each change made."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

__all__ = ["begin_logging"]


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        fields: dict[str, object] = getattr(record, "fields", {})
        said = [when, record.levelname.lower(), record.getMessage()]
        said += [f"{key}={_value(value)}" for key, value in fields.items()]
        line = " ".join(said)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def begin_logging(level: str) -> None:
    """Log from `level` on (debug, info, warning, error) to standard error; libraries only from warnings on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("relocd").setLevel(level.upper())


def _value(value: object) -> str:
    """A value on one line: plain where it can be, else quoted as in JSON."""
    text = str(value)
    return text if text and text.isprintable() and not {" ", '"', "="} & set(text) else json.dumps(text)
