"""The writes of the handover's steps: each one modify of the state, or of a server's links, and each a comparison.

A change of holder takes away the generation that it went by and adds the next one, so it is lost when somebody was
faster, and it may be sent again without harm when nobody knows whether it was written (`again`). Changes that keep the
holder assert the generation instead (RFC 4528).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from relocd.model.dn import DN
from relocd.model.entries import Attributes, EntryUUID
from relocd.model.parse import STATE_RDN
from relocd.model.writes import Add, Change, Delete, Modification, Replace, swap
from relocd.plan.contest import Contest
from relocd.plan.steps import (
    BecomeCandidate,
    ClearCandidate,
    ClearPrevious,
    DeleteLink,
    GiveBack,
    HandOver,
    LetGo,
    Step,
    StepDown,
    SwapIn,
    Withdraw,
)

__all__ = ["Creation", "Write", "again", "changes_holder", "renaming", "unlinking", "write_of"]

_HOLDER: Final = "relocHolder"
_CANDIDATE: Final = "relocCandidate"
_PREVIOUS: Final = "relocPrevious"
_GENERATION: Final = "relocGeneration"


@dataclass(frozen=True, slots=True)
class Creation:
    """An entry to add, which fails where there is one."""

    dn: DN
    attributes: Attributes

    def __str__(self) -> str:
        return f"create {self.dn}"


Write = Modification | Creation


def write_of(step: Step, contest: Contest) -> Write | None:
    """The write of a step; None for a step that writes nothing."""
    match step:
        case SwapIn():
            return _swapping_in(contest)
        case BecomeCandidate() if contest.entry is None:
            return _creation(contest)
        case BecomeCandidate():
            return _keeping_holder(contest, swap(_CANDIDATE, _old(contest, _CANDIDATE), _name(contest, contest.me)))
        case Withdraw() | ClearCandidate():
            return _withdrawing(contest)
        case ClearPrevious():
            return _keeping_holder(contest, swap(_PREVIOUS, _old(contest, _PREVIOUS), None))
        case HandOver(_, to):
            cleared = swap(_CANDIDATE, _old(contest, _CANDIDATE), None)
            previous = swap(_PREVIOUS, _old(contest, _PREVIOUS), _name(contest, contest.me))
            return _changing_holder(contest, to, (*cleared, *previous))
        case GiveBack(_, to):
            return _changing_holder(contest, to, swap(_PREVIOUS, _old(contest, _PREVIOUS), None))
        case LetGo() | StepDown():
            return _changing_holder(contest, None, _own_candidacy(contest))
        case DeleteLink(server):
            return unlinking(contest, server)
        case _:
            return None


def changes_holder(write: Write) -> bool:
    """Whether another server is the holder once this is written."""
    return isinstance(write, Modification) and any(change.attribute == _GENERATION for change in write.changes)


def again(write: Write, contest: Contest) -> Write:
    """What is sent while nobody knows whether a write was carried out.

    What the holder writes to give the service away, only the generation may refuse then. If a candidate that has
    withdrawn could, and asked again, an earlier copy that is still on its way would match once more. What a candidate
    writes in the belief that the holder is dead is not sent again: that belief grows old. It withdraws, which no copy
    survives either, and begins anew.
    """
    if not (isinstance(write, Modification) and changes_holder(write)):
        return write
    if _is_candidate(contest):
        return _withdrawing(contest)
    return _by_generation(write) if contest.holds else write


def _by_generation(write: Modification) -> Modification:
    swapped = (_HOLDER, _GENERATION)
    compared = tuple(change for change in write.changes if change.attribute in swapped)
    others = dict.fromkeys(change.attribute for change in write.changes if change.attribute not in swapped)
    return replace(write, changes=(*compared, *(_replacing(name, write.changes) for name in others)))


def _replacing(attribute: str, changes: Iterable[Change]) -> Replace:
    added = (each for each in changes if isinstance(each, Add) and each.attribute == attribute)
    return Replace(attribute, next((each.values for each in added), ()))


def unlinking(contest: Contest, server: EntryUUID) -> Modification | None:
    """The write that deletes a server's direct link to the service; None where it has none."""
    link = contest.links.get(server)
    if link is None:
        return None
    return Modification(contest.names[server], (Delete("relocServiceLink", (link.text.encode(),)),))


def renaming(contest: Contest) -> Modification:
    """The write that calls the holder, which is `me`, by the name it has now; nothing else changes."""
    return _keeping_holder(contest, swap(_HOLDER, _old(contest, _HOLDER), _name(contest, contest.me)))


def _creation(contest: Contest) -> Creation:
    attributes = {
        "objectClass": (b"relocServiceState",),
        "cn": (b"state",),
        _CANDIDATE: (_name(contest, contest.me),),
    }
    return Creation(contest.service.below(STATE_RDN), attributes)


def _swapping_in(contest: Contest) -> Modification:
    more = (*_own_candidacy(contest), *swap(_PREVIOUS, _old(contest, _PREVIOUS), None))
    return _changing_holder(contest, contest.me, more)


def _own_candidacy(contest: Contest) -> tuple[Change, ...]:
    """Who acts as candidate is none any more, and has to be one until then."""
    return swap(_CANDIDATE, _old(contest, _CANDIDATE), None) if _is_candidate(contest) else ()


def _is_candidate(contest: Contest) -> bool:
    return contest.state is not None and contest.state.candidate == contest.me


def _changing_holder(contest: Contest, to: EntryUUID | None, more: Iterable[Change]) -> Modification:
    generation = None if contest.entry is None else contest.entry.generation
    holder = swap(_HOLDER, _old(contest, _HOLDER), None if to is None else _name(contest, to))
    before = None if generation is None else str(generation).encode()
    after = str((generation or 0) + 1).encode()
    return Modification(_state_dn(contest), (*holder, *more, *swap(_GENERATION, before, after)))


def _withdrawing(contest: Contest) -> Modification:
    return _keeping_holder(contest, swap(_CANDIDATE, _old(contest, _CANDIDATE), None))


def _keeping_holder(contest: Contest, changes: tuple[Change, ...]) -> Modification:
    generation = None if contest.entry is None else contest.entry.generation
    so_far = f"(!({_GENERATION}=*))" if generation is None else f"({_GENERATION}={generation})"
    return Modification(_state_dn(contest), changes, so_far)


def _state_dn(contest: Contest) -> DN:
    return contest.service.below(STATE_RDN)


def _name(contest: Contest, server: EntryUUID) -> bytes:
    return contest.names[server].text.encode()


def _old(contest: Contest, attribute: str) -> bytes | None:
    """The value that the state has, as it is written there."""
    entry = contest.entry
    if entry is None:
        return None
    values = {_HOLDER: entry.holder, _CANDIDATE: entry.candidate, _PREVIOUS: entry.previous}
    found = values[attribute]
    return None if found is None else found.text.encode()
