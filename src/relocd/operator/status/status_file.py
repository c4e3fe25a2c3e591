"""Reading the status that the agent on this machine leaves in its run folder (`agent.status_report`), and its lock.

Another version of relocd may have written it, or another program. So its shape is checked here once, and an error names
what is wrong.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from pathlib import Path
from typing import Any, Final

from relocd.errors import Invalid
from relocd.model.settings import LOCK_NAME

__all__ = ["agent_runs", "read_status"]

_PROBLEM: Final = {"subject": str, "message": str}
_SERVICE: Final = {
    "name": str,
    "id": str,
    "state": str,
    "since": str,
    "reason": str,
    "exclusive": bool,
    "holds": bool,
    "addresses": [str],
    "problems": [str],
}
_STATUS: Final = {
    "server": str,
    "version": str,
    "mode": str,
    "directory": {"state": str, "since": str, "detail": str},
    "services": [_SERVICE],
    "problems": [_PROBLEM],
}


def read_status(path: Path) -> dict[str, Any] | None:
    """The agent's status at `path`, None where there is no file; raises `Invalid` when it is damaged."""
    try:
        text = path.read_text(encoding="utf-8")
        content: dict[str, Any] = json.loads(text, parse_constant=_refused, parse_float=_finite)
        _require(content, _STATUS, "status")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise Invalid(f"{path}: the agent's status cannot be read ({error}); restart the agent") from error
    return content


def agent_runs(status: Path) -> bool:
    """Whether an agent holds the lock beside its status, and so keeps the status current."""
    try:
        descriptor = os.open(status.with_name(LOCK_NAME), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):  # a path without a name has no lock beside it
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _require(value: object, shape: object, where: str) -> None:
    """Raise `ValueError` where a value does not have the shape: an object's keys, a list's items, or a type."""
    if isinstance(shape, dict):
        found = _of_type(value, dict, where)
        for key, inner in shape.items():
            if key not in found:
                raise ValueError(f"{where} has no {key!r}")
            _require(found[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        for at, item in enumerate(_of_type(value, list, where)):
            _require(item, shape[0], f"{where}[{at}]")
    elif isinstance(shape, type):
        _of_type(value, shape, where)


def _of_type(value: object, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{where} is not a {kind.__name__}")  # noqa: TRY004 - it is the file that is wrong
    return value


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refused(text)


def _refused(text: str) -> float:
    raise ValueError(f"{text} is not a number in JSON")
