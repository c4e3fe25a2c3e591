"""The directive `olcSyncrepl` of a consumer (slapd-config(5)): its value, and whether a database has it. Pure.

- keepalive: a persistent search is silent while nothing changes; without it a consumer does not notice that the address
  of its provider has moved to another host.
- timeout: the limit for a call to a provider that hangs. Meanwhile a change of cn=config waits, and all of slapd waits
  for that change.
- network-timeout: the same while it connects to a dead host, which is when a promotion comes.
- retry: for a primary quick attempts first, since a moved address is soon back; then one second in six for a dead host.
  For the peer of a pair every second (`EVERY_SECOND`): agents rely on each write within moments once it is back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from relocd.openldap.config import ConfigEntry

__all__ = ["EVERY_SECOND", "Consumer", "follows", "words"]

EVERY_SECOND: Final = "1 +"
_QUICK_AT_FIRST: Final = "1 3 5 +"
_LINE: Final = "network-timeout=1 timeout=1 keepalive=2:2:1"
_WORD: Final = re.compile(r'([a-z_-]+)=("[^"]*"|\S+)')


@dataclass(frozen=True, slots=True)
class Consumer:
    """From which provider to replicate what, and as which user; `more` are further words of the directive."""

    rid: int
    provider: str
    suffix: str
    bind_dn: str
    password: str
    starttls: bool
    more: str = ""
    retry: str = _QUICK_AT_FIRST

    @property
    def value(self) -> str:
        """The value of `olcSyncrepl`; no part may have a quote in it."""
        tls = "starttls=critical " if self.starttls else ""
        return (
            f'rid={self.rid:03d} provider={self.provider} searchbase="{self.suffix}" '
            f'type=refreshAndPersist retry="{self.retry}" {_LINE} {tls}'
            f'bindmethod=simple binddn="{self.bind_dn}" credentials="{self.password}" {self.more}'
        ).rstrip()


def follows(database: ConfigEntry, consumer: Consumer) -> bool:
    """Whether the database is exactly that consumer."""
    values = database.values("olcSyncrepl")
    return len(values) == 1 and words(consumer.value).items() <= words(values[0]).items()


def words(value: str) -> Mapping[str, str]:
    """The words of a directive by key: slapd stores them in its own order and adds defaults."""
    return {key: word.strip('"') for key, word in _WORD.findall(value)}
