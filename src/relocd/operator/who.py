"""Whoever did something, by the shortest name that still tells people and servers apart. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.printable import one_line

__all__ = ["short_names"]

_PEER: Final = re.compile(r"gidnumber=(\d+)\+uidnumber=(\d+),cn=peercred,cn=external,cn=auth")


def short_names(identities: Iterable[str]) -> Mapping[str, str]:
    """How each identity is shown: the value of its first RDN, or the whole DN where two would look the same.

    Whoever came over ldapi:// as a user of the machine is shown as that: `root` or `uid 1000`.
    """
    names = {each: _name(each) for each in set(identities)}
    count = Counter({(name, _key(each)) for each, name in names.items()})
    used = Counter(name for name, _ in count)
    return {each: name if used[name] == 1 else one_line(each) for each, name in names.items()}


def _key(identity: str) -> str:
    try:
        return DN.parse(identity).key
    except Invalid:
        return identity


def _name(identity: str) -> str:
    if not identity:
        return "unknown"
    peer = _PEER.fullmatch(_key(identity))
    if peer is not None:
        return "root" if peer[2] == "0" else f"uid {peer[2]}"
    try:
        return DN.parse(identity).name or one_line(identity)
    except Invalid:
        return one_line(identity)
