"""A provider on the loopback that speaks LDAP badly: the feed lives, and is right once the provider is good again."""

from __future__ import annotations

import asyncio
from random import Random
from uuid import UUID

from relocd.adapters.ldap.feed import LdapFeed
from relocd.model.dn import DN
from relocd.model.settings import DirectorySettings
from relocd.sync.mirror import Mirror
from tests.adapters.ldap.scripted_provider import (
    COOKIE,
    attribute,
    control,
    done,
    element,
    entry,
    info,
    raw_entry,
    reference,
    refresh_done,
    scripted,
    state_value,
    text,
)
from tests.fuzz.defects import no_defects
from tests.fuzz.frame import given
from tests.fuzz.odd import odd_bytes, odd_text
from tests.support.entries import ME

NAME = "provider"
CASES = 120

_NAMES = (ME, "cn=web,ou=relocd,dc=example,dc=org", "cn=ntp,ou=relocd,dc=example,dc=org")
_GOOD = {name: str(UUID(int=number + 1)) for number, name in enumerate(_NAMES)}
# Without 0x79, an intermediate response: at one that has no name, which RFC 4511 allows and no server of content
# synchronisation sends, python-ldap 3.4.8 reads from address 0. What has a name is tried below.
_OPERATIONS = tuple(tag for tag in range(0x60, 0x80) if tag != 0x79)
_PACE = {
    "retry_min_s": 0.001,
    "retry_max_s": 0.002,
    "connect_timeout_s": 1.0,
    "operation_timeout_s": 0.3,
    "silence_timeout_s": 0.3,
}


def case(random: Random) -> None:
    """Two searches are spoilt, and the third one tells the truth."""
    spoilt = [[_message(random) for _ in range(random.randrange(1, 8))] for _ in range(2)]
    good = [*(entry(name, uuid) for name, uuid in _GOOD.items()), refresh_done(_later(COOKIE))]
    with given(spoilt=spoilt), no_defects():
        asyncio.run(_followed([*([*messages, _end(random)] for messages in spoilt), good]))


async def _followed(sessions: list[list[tuple[bytes, bytes]]]) -> None:
    mirror = Mirror(DN.parse(ME))
    with scripted(*sessions) as uri:
        settings = DirectorySettings(uris=(uri,), base="dc=example,dc=org", **_PACE)
        async with LdapFeed(settings, "(objectClass=*)") as feed:
            async for batch in feed.batches():
                mirror.apply(batch)
                if mirror.doubt:
                    feed.restart("(objectClass=*)", fresh=True)
                if {record.uuid: record.key for record in mirror._index} == _TRUE and mirror.snapshot is not None:
                    return
    raise AssertionError("the feed has ended")


_TRUE = {uuid: DN.parse(name).key for name, uuid in _GOOD.items()}


def _message(random: Random) -> tuple[bytes, bytes]:
    """One message of a search, of any shape."""
    name = random.choice((*_NAMES, odd_text(random)[:200], odd_bytes(random, ME)[:200]))
    cookie = random.choice((None, COOKIE, odd_text(random)[:100]))
    uuid = random.choice((UUID(random.choice(list(_GOOD.values()))).bytes, b"", random.randbytes(random.randrange(20))))
    state = state_value(uuid, random.randrange(6), cookie)
    odd = attribute(odd_bytes(random, "cn")[:100], odd_bytes(random, "x")[:100])
    make = random.choice(
        (
            lambda: raw_entry(name, odd, state),
            lambda: raw_entry(name, attribute("entryCSN", odd_bytes(random, "20260101")[:80]), state),
            lambda: raw_entry(name, random.randbytes(random.randrange(9)), state),
            lambda: raw_entry(name, value=random.choice((None, b"", random.randbytes(12), state[:-1]))),
            lambda: raw_entry(name, odd, state, oid=odd_text(random)[:40]),
            lambda: info(random.choice((b"", random.randbytes(9), element(0xA3, element(0x31, text(uuid)))))),
            lambda: info(element(random.choice((0x80, 0xA1, 0xA2)), text(cookie or ""))),
            lambda: refresh_done(cookie or ""),
            lambda: done(random.randrange(128), odd_text(random)[:100]),
            lambda: reference(odd_text(random)[:100]),
            lambda: (element(random.choice(_OPERATIONS), random.randbytes(random.randrange(9))), b""),
            lambda: (element(0x04, random.randbytes(random.randrange(1, 20))), control(odd_text(random)[:40], b"x")),
        )
    )
    return make()


def _end(random: Random) -> tuple[bytes, bytes]:
    """A bad search is over at some time."""
    return done(random.choice((0, 1, 51, 52, 53, 80)))


def _later(cookie: str) -> str:
    return cookie.replace("20260101", "20260102")
