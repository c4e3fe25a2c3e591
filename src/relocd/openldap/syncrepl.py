"""The directive `olcSyncrepl` of a consumer (slapd-config(5)): its words, and whether a database has it. Pure.

- keepalive: a persistent search is silent while nothing changes, and a consumer would not notice that its provider's
  address is at another host now.
- timeout: when it has begun a consumer waits in a call for that long, also for a provider that hangs, and a change
  of cn=config has to wait with it, and everything else in slapd with the change. Without it there would be no limit.
- network-timeout: the same while it connects to a host that is dead. A promotion comes at just that time.
- retry: so it connects to a dead host a second in six only; at first more often, since an address that moves is soon
  back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from relocd.openldap.config import ConfigEntry

__all__ = ["Consumer", "follows", "words"]

_LINE: Final = 'type=refreshAndPersist retry="1 3 5 +" network-timeout=1 timeout=1 keepalive=2:2:1'
_WORD: Final = re.compile(r'([a-z_-]+)=("[^"]*"|\S+)')


@dataclass(frozen=True, slots=True)
class Consumer:
    """Whom to follow, as whom, and what; `more` are further words."""

    rid: int
    provider: str
    suffix: str
    bind_dn: str
    password: str
    starttls: bool
    more: str = ""

    @property
    def value(self) -> str:
        """The value of `olcSyncrepl`; no part may have a quote in it."""
        tls = "starttls=critical " if self.starttls else ""
        return (
            f'rid={self.rid:03d} provider={self.provider} searchbase="{self.suffix}" {_LINE} {tls}'
            f'bindmethod=simple binddn="{self.bind_dn}" credentials="{self.password}" {self.more}'
        ).rstrip()


def follows(database: ConfigEntry, consumer: Consumer) -> bool:
    """Whether the database is that consumer and no other."""
    values = database.values("olcSyncrepl")
    return len(values) == 1 and words(consumer.value).items() <= words(values[0]).items()


def words(value: str) -> Mapping[str, str]:
    """The words of a directive: slapd writes them down in an order and with defaults of its own."""
    return {key: word.strip('"') for key, word in _WORD.findall(value)}
