"""The writes of the handover's steps: each one modify of the state or of a server's links, and each a compare-and-swap.

A change of holder deletes the generation that it is based on and adds the next one. It is lost when another server was
faster, and it may be sent again without harm while its outcome is unknown (`resend_of`). A change that keeps the holder
asserts the generation instead (RFC 4528).

Candidate and previous holder are replaced under an assertion of what they were. At the provider that takes the write
this compares as well as deleting the old value would, and it fits at every other provider. The deletion of a value that
is not there, or a second value of a single-valued attribute, makes a consumer of delta-syncrepl give up the
modification and fetch the whole entry from its peer, which may undo what was written here meanwhile.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from relocd.election.eligibility import OwnershipView
from relocd.election.steps import (
    BecomeCandidate,
    ClearCandidate,
    ClearPrevious,
    DeleteLink,
    FailBack,
    HandOver,
    Release,
    Step,
    StepDown,
    SwapIn,
    Withdraw,
)
from relocd.model import names
from relocd.model.dn import DN
from relocd.model.entries import Attributes, EntryUUID
from relocd.model.writes import Delete, Modification, Replace, swap

__all__ = ["Creation", "Write", "changes_holder", "renaming", "resend_of", "unlinking", "write_of"]

_PLAIN: Final = (string.ascii_letters + string.digits + " =,.-_").encode()
_IN_FILTER: Final = tuple(chr(each) if each in _PLAIN else f"\\{each:02x}" for each in range(256))


@dataclass(frozen=True, slots=True)
class Creation:
    """An entry to add, which fails where there is one."""

    dn: DN
    attributes: Attributes

    def __str__(self) -> str:
        return f"create {self.dn}"


Write = Modification | Creation


def write_of(step: Step, ownership: OwnershipView) -> Write | None:
    """The write of a step; None for a step that writes nothing."""
    match step:
        case SwapIn():
            return _swapping_in(ownership)
        case BecomeCandidate() if ownership.entry is None:
            return _creation(ownership)
        case BecomeCandidate():
            return _keeping_holder(ownership, names.CANDIDATE, ownership.me)
        case Withdraw() | ClearCandidate():
            return _withdrawing(ownership)
        case ClearPrevious():
            return _keeping_holder(ownership, names.PREVIOUS, None)
        case HandOver(_, to):
            return _changing_holder(ownership, to, {names.CANDIDATE: None, names.PREVIOUS: ownership.me})
        case FailBack(_, to):
            return _changing_holder(ownership, to, {names.PREVIOUS: None})
        case Release() | StepDown():
            return _changing_holder(ownership, None, _own_candidacy(ownership))
        case DeleteLink(server):
            return unlinking(ownership, server)
        case _:
            return None


def changes_holder(write: Write) -> bool:
    """Whether the holder is another one after this write."""
    return isinstance(write, Modification) and any(change.attribute == names.GENERATION for change in write.changes)


def resend_of(write: Write, ownership: OwnershipView) -> Write:
    """What is sent while the outcome of a write is unknown.

    - The holder's write that gives the service up depends on the generation only. If it depended on the candidate, too,
      and that withdrew and asked again, an earlier copy that is still on its way would match once more.
    - The write of a candidate that takes the service from a dead holder is not sent again: the verdict grows old. The
      candidate withdraws, which rules out every copy as well, and begins again.
    """
    if not (isinstance(write, Modification) and changes_holder(write)):
        return write
    if _is_candidate(ownership):
        return _withdrawing(ownership)
    return replace(write, assertion=None) if ownership.holds else write


def unlinking(ownership: OwnershipView, server: EntryUUID) -> Modification | None:
    """The write that deletes a server's direct link to the service; None where it has none."""
    link = ownership.links.get(server)
    if link is None:
        return None
    return Modification(ownership.names[server], (Delete(names.SERVICE_LINK, (link.text.encode(),)),))


def renaming(ownership: OwnershipView) -> Modification:
    """The write that gives the holder, which is `me`, its present name in the state; nothing else changes."""
    changes = swap(names.HOLDER, _old(ownership, names.HOLDER), _name(ownership, ownership.me))
    return Modification(_state_dn(ownership), changes, _assertion(ownership, names.GENERATION))


def _creation(ownership: OwnershipView) -> Creation:
    attributes = {
        "objectClass": (b"relocServiceState",),
        "cn": (b"state",),
        names.CANDIDATE: (_name(ownership, ownership.me),),
    }
    return Creation(ownership.service.below(names.STATE_RDN), attributes)


def _swapping_in(ownership: OwnershipView) -> Modification:
    return _changing_holder(ownership, ownership.me, {**_own_candidacy(ownership), names.PREVIOUS: None})


def _own_candidacy(ownership: OwnershipView) -> dict[str, EntryUUID | None]:
    """The change for a server that acts as candidate: it has to be the candidate, and is not afterwards."""
    return {names.CANDIDATE: None} if _is_candidate(ownership) else {}


def _is_candidate(ownership: OwnershipView) -> bool:
    return ownership.state is not None and ownership.state.candidate == ownership.me


def _changing_holder(
    ownership: OwnershipView, to: EntryUUID | None, more: Mapping[str, EntryUUID | None]
) -> Modification:
    generation = None if ownership.entry is None else ownership.entry.generation
    holder = swap(names.HOLDER, _old(ownership, names.HOLDER), None if to is None else _name(ownership, to))
    before = None if generation is None else str(generation).encode()
    after = str((generation or 0) + 1).encode()
    changes = (*holder, *_replacing(ownership, more), *swap(names.GENERATION, before, after))
    return Modification(_state_dn(ownership), changes, _assertion(ownership, *more) if more else None)


def _withdrawing(ownership: OwnershipView) -> Modification:
    return _keeping_holder(ownership, names.CANDIDATE, None)


def _keeping_holder(ownership: OwnershipView, attribute: str, to: EntryUUID | None) -> Modification:
    changes = tuple(_replacing(ownership, {attribute: to}))
    return Modification(_state_dn(ownership), changes, _assertion(ownership, names.GENERATION, attribute))


def _replacing(ownership: OwnershipView, named: Mapping[str, EntryUUID | None]) -> Iterator[Replace]:
    for attribute, server in named.items():
        yield Replace(attribute, () if server is None else (_name(ownership, server),))


def _assertion(ownership: OwnershipView, *attributes: str) -> str:
    """The filter that holds while these attributes are as they were seen."""
    compared = "".join(_compared(attribute, _old(ownership, attribute)) for attribute in attributes)
    return compared if len(attributes) == 1 else f"(&{compared})"


def _compared(attribute: str, value: bytes | None) -> str:
    return f"(!({attribute}=*))" if value is None else f"({attribute}={_escaped(value)})"


def _escaped(value: bytes) -> str:
    """A value in a filter (RFC 4515, section 3): all but plain letters and signs by their numbers."""
    return "".join(map(_IN_FILTER.__getitem__, value))


def _state_dn(ownership: OwnershipView) -> DN:
    return ownership.service.below(names.STATE_RDN)


def _name(ownership: OwnershipView, server: EntryUUID) -> bytes:
    return ownership.names[server].text.encode()


def _old(ownership: OwnershipView, attribute: str) -> bytes | None:
    """The value that the state has, as it is written there."""
    entry = ownership.entry
    if entry is None:
        return None
    values = {
        names.HOLDER: entry.holder,
        names.CANDIDATE: entry.candidate,
        names.PREVIOUS: entry.previous,
        names.GENERATION: entry.generation,
    }
    found = values[attribute]
    return None if found is None else str(found).encode()
