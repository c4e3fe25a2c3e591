"""Records as text of at most 80 columns, two lines each, and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import Any, Final

from relocd.model.history import Happened, values_of
from relocd.operator.history.records import Told
from relocd.operator.who import short_names
from relocd.printable import one_line

__all__ = ["as_json", "as_lines"]

_WIDTH: Final = 80
_INDENT: Final = " " * 4


def as_lines(records: Iterable[Told]) -> Iterator[str]:
    """The lines of each record: when, which service, what happened; then who began it, and why."""
    listed = tuple(records)
    identities = (name for each in listed for name in _identities(each))
    names = short_names(name for name in identities if name)
    for each in listed:
        yield from _lines(each, {**names, "": "no server"})


def _identities(each: Told) -> Iterator[str]:
    record = each.record
    yield from (each.service.text, record.server, record.source, record.target, record.by)


def _lines(each: Told, names: dict[str, str]) -> Iterator[str]:
    record = each.record
    at = record.at.isoformat(" ", "milliseconds").replace("+00:00", "Z")
    generation = "" if record.generation is None else f" {record.generation}"
    head = f"{at}  {names[each.service.text]}{generation}: {_what(each, names)}"
    yield from wrap(one_line(head), _WIDTH, subsequent_indent=_INDENT)
    rule = f" ({one_line(record.rule)})" if record.rule else ""
    by = f"by {names[record.by]}" if record.by else "by unknown"
    text = f"{by}: {one_line(record.reason)}{rule}" if record.reason else f"{by}{rule}"
    yield from wrap(text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _what(each: Told, names: dict[str, str]) -> str:
    record = each.record
    here = names[record.server] if record.server else "unknown"
    move = f"{names[record.source]} -> {names[record.target]}"
    took = "" if record.took_ms is None else f" after {_duration(record.took_ms)}"
    match record.event:
        case Happened.SERVED if not record.source:
            return f"{names[record.target]} serves{took}"
        case Happened.SERVED:
            return f"{move}, serves{took}"
        case Happened.GIVEN_BACK:
            return f"{move}, given back, serves{took}"
        case Happened.FAILED:
            return f"{move} failed"
        case Happened.RELEASED:
            return f"{names[record.source]} released it"
        case Happened.REFUSED:
            return f"{here} refuses"
        case _:
            return f"{record.event} on {here}"


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.0f} s"


def as_json(each: Told) -> dict[str, Any]:
    """One record as JSON values: its own, and the service by name and DN."""
    return {"service": each.service.name, "service_dn": str(each.service), **values_of(each.record)}
