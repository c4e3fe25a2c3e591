"""OpenLDAP's cookie of content synchronisation: up to which change of each provider a client is current.

RFC 4533 calls a cookie opaque. OpenLDAP's is `rid=000,sid=001,csn=A;B`, with one change sequence number (CSN) for each
provider that ever took a write. A client has to read it, for four reasons:

- During the persist stage a cookie may carry only the CSN of the provider that made the change. A client that stores it
  as it is forgets all other providers. So cookies are merged, with the newest CSN of each provider.
- slapd does not refuse a cookie that it cannot read. It sends every entry and ends the refresh as if it had also sent
  all deletions. So a cookie that is not understood here must never be sent.
- A CSN is a time. Where a provider's clock was ahead once, its changes of today have older CSNs than the one already
  known, and a search from that cookie misses them.
- `sid` names the provider that wrote the cookie. slapd 2.5 takes it for the sender of the search and does not send that
  provider's own changes. So `sid` is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from relocd.errors import Invalid
from relocd.model.entries import csn_time_s

__all__ = ["SyncCookie"]

# Time, change within it, provider, modification within it: fixed widths, so text compares as time does.
_CSN: Final = re.compile(r"\d{14}\.\d{6}Z#[0-9a-f]{6}#([0-9a-f]{3})#[0-9a-f]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SyncCookie:
    """The newest CSN of each provider, at least one, in the order of the providers' numbers."""

    csns: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> SyncCookie:
        """The value of a cookie as sent by a provider or written by `str`; raises `Invalid` for anything else."""
        fields = [field.partition("=") for field in text.split(",")]
        if not all(key and equals for key, equals, _ in fields):
            raise Invalid(f"the synchronisation cookie {text!r} is not of the form rid=...,csn=...")
        lists = [value for key, _, value in fields if key == "csn"]
        if len(lists) != 1:
            raise Invalid(f"the synchronisation cookie {text!r} has {len(lists)} lists of CSNs, not one")
        return cls.of(lists[0].split(";"))

    @classmethod
    def of(cls, csns: Iterable[str]) -> SyncCookie:
        """The cookie of change sequence numbers; raises `Invalid` when there are none or one is malformed."""
        newest: dict[str, str] = {}
        for csn in csns:
            provider = _provider(csn)
            newest[provider] = max(csn, newest.get(provider, ""))
        if not newest:
            raise Invalid("a synchronisation cookie needs at least one CSN")
        return cls(tuple(csn for _, csn in sorted(newest.items())))

    def merged(self, other: SyncCookie) -> SyncCookie:
        """The cookie of a client that is current up to both."""
        return SyncCookie.of(self.csns + other.csns)

    def is_ahead_of(self, other: SyncCookie) -> bool:
        """Whether this cookie covers a change that the other one does not."""
        theirs = {_provider(csn): csn for csn in other.csns}
        return any(csn > theirs.get(_provider(csn), "") for csn in self.csns)

    def ahead_s(self, csn: str) -> float:
        """By how many seconds this cookie's CSN of the same provider is ahead of that of a change; 0 if it is not."""
        theirs = _CSN.fullmatch(csn)
        times = [csn_time_s(each) or 0.0 for each in self.csns if theirs and _provider(each) == theirs[1]]
        return max([0.0, *(each - (csn_time_s(csn) or each) for each in times)])

    def passes_over(self, csn: str) -> bool:
        """Whether a search from this cookie would miss a change of that CSN."""
        theirs = _CSN.fullmatch(csn)
        return theirs is not None and any(each > csn for each in self.csns if _provider(each) == theirs[1])

    @property
    def newest_s(self) -> float:
        """The time of the newest CSN, in seconds since 1970."""
        return max(csn_time_s(each) or 0.0 for each in self.csns)

    def __str__(self) -> str:
        return "rid=000,csn=" + ";".join(self.csns)


def _provider(csn: str) -> str:
    found = _CSN.fullmatch(csn)
    if not found:
        raise Invalid(f"{csn!r} is not a change sequence number")
    return found[1]
