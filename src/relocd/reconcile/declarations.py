"""Whether a service gives its template sets the parameters and secrets that these declare; values are for rendering."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches

from relocd.model.template_set import TemplateSet
from relocd.reconcile.goals import Goal, service_of

__all__ = ["misnamed"]


def misnamed(goal: Goal, own: Sequence[TemplateSet], others: Sequence[TemplateSet | None]) -> tuple[str, ...]:
    """What a service gives that no set takes, and what a set of its own needs and does not get.

    `others` are the sets of the whole server, which see every service; None for one that cannot be read. Where a set
    declares nothing, any name may be meant for it.
    """
    if service_of(goal.id) is None:
        return ()  # a set of scope `server` takes what the services have
    known = [each for each in (*own, *others) if each is not None and each.closed]
    closed = bool(known) and len(known) == len(own) + len(others)
    problems: list[str] = []
    for kind in ("parameters", "secrets"):
        given: Collection[str] = getattr(goal.context, kind)
        taken = sorted({declared.name for each in known for declared in getattr(each, kind)})
        if closed:
            problems += _unknown(kind, given, taken, known)
        problems += _missing(kind, given, own)
    return tuple(problems)


def _unknown(kind: str, given: Collection[str], taken: Sequence[str], sets: Sequence[TemplateSet]) -> Iterator[str]:
    """Every name that is taken by none of the sets."""
    for name in given:
        if name not in taken:
            close = get_close_matches(name, taken, n=1)
            advice = f"did you mean {close[0]}?" if close else f"known are: {', '.join(taken) or 'none'}"
            who = " and ".join(each.name for each in sets)
            yield f"{kind}.{name} is nothing that the template set {who} declares; {advice}"


def _missing(kind: str, given: Collection[str], sets: Sequence[TemplateSet]) -> Iterator[str]:
    for each in sets:
        for declared in getattr(each, kind):
            if declared.required and declared.name not in given:
                yield f"{kind}.{declared.name} is missing, and the template set {each.name} needs it: {declared.help}"
