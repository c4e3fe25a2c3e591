"""`relocd pause`, `drain`, `resume` and `retry`: orders to the agent on this machine, until it has followed.

The mode is a file in the agent's run folder, so it ends with a reboot. The agent answers in its status file. An order
to try a service again is a file of its own, which the agent removes when it has followed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from relocd.errors import Failed, Invalid, Unavailable
from relocd.model.settings import MODE_NAME, RETRY_NAME
from relocd.model.status import Mode
from relocd.operator.status.status_file import agent_runs, read_status

__all__ = ["drain_agent", "retry_service", "set_mode", "left_to_drain"]

_EVERY_S: Final = 0.1


def set_mode(status: Path, mode: Mode, timeout_s: float, progress: Callable[[str], None]) -> None:
    """Set the mode of the agent with that status file and wait until it has followed; `progress` gets what is left.

    Raises `Unavailable` when no agent runs here, `Failed` when the mode cannot be written or the time is over; the mode
    stays set then.
    """
    _require_agent(status)
    _write_at_once(status.with_name(MODE_NAME), str(mode))
    deadline, shown = time.monotonic() + timeout_s, ""
    while True:
        left = "; ".join(_left(read_status(status), mode))
        if not left:
            return
        if left != shown:
            shown = left
            progress(shown)
        if time.monotonic() > deadline:
            raise Failed(f"not done within {timeout_s:g} s, and it goes on: {shown}")
        time.sleep(_EVERY_S)


def retry_service(status: Path, name: str, timeout_s: float) -> str:
    """Have the agent try a service again, whatever failed there; returns what had failed, empty for nothing.

    Raises `Unavailable` when no agent runs here, `Invalid` when the service is not one of this server, and `Failed`
    when the order cannot be written or the agent does not follow.
    """
    _require_agent(status)
    known = {each["name"]: each for each in _services(status)}
    if name not in known:
        close = get_close_matches(name, known, n=1)
        advice = f"did you mean {close[0]}?" if close else f"known are: {', '.join(sorted(known)) or 'none'}"
        raise Invalid(f"this server has no service {name!r}; {advice}")
    order = status.with_name(RETRY_NAME) / uuid4().hex
    _write_at_once(order, name)
    deadline = time.monotonic() + timeout_s
    while order.exists():
        if time.monotonic() > deadline:
            raise Failed(f"the agent has not taken the order within {timeout_s:g} s; see its log")
        time.sleep(_EVERY_S)
    return "; ".join(filter(None, (known[name].get("failed_here", ""), *known[name]["problems"])))


def _write_at_once(path: Path, line: str) -> None:
    """Write a file of one line in the agent's run folder, which the agent reads as it was before, or whole."""
    aside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o755, exist_ok=True)
        aside.write_text(f"{line}\n")
        aside.rename(path)
    except OSError as error:
        raise Failed(f"{path}: cannot be written ({error.strerror}); run this as root") from error


def drain_agent(status: Path, timeout_s: float, progress: Callable[[str], None]) -> tuple[str, ...]:
    """Drain as `set_mode` does; returns a sentence for each service that was held: what became of it."""
    held = [each for each in _services(status) if each["holds"]]
    set_mode(status, Mode.DRAINED, timeout_s, progress)
    after = {each["id"]: each for each in _services(status)}
    return tuple(_fate(each["name"], after.get(each["id"])) for each in held)


def _require_agent(status: Path) -> None:
    if not agent_runs(status):
        raise Unavailable(
            f"no agent runs here (no process holds the lock beside {status}); start it: systemctl start relocd"
        )


def _services(status: Path) -> list[dict[str, Any]]:
    content = read_status(status)
    return [] if content is None else content["services"]


def _fate(name: str, after: dict[str, Any] | None) -> str:
    """What became of a service that this server held; `after` is None once the next holder has removed its link."""
    if after is None:
        return f"{name}: handed over; the new holder has removed this server's link"
    if after.get("holder"):
        return f"{name}: {after['holder']} holds it now"
    return f"{name}: stopped, since no other server may run it"


def left_to_drain(status: dict[str, Any]) -> Iterator[str]:
    """The exclusive services that a drained server still has, each with what it waits for."""
    for service in status["services"]:
        if service["exclusive"] and (service["holds"] or service["addresses"]):
            yield f"{service['name']}: {'; '.join(service['problems']) or service['reason']}"


def _left(status: dict[str, Any] | None, mode: Mode) -> Iterator[str]:
    if status is None or status["mode"] != mode:
        yield "the agent has not answered yet"
    elif mode is Mode.DRAINED:
        yield from left_to_drain(status)
