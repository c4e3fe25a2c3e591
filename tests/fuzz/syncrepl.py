"""What a provider tells (RFC 4533), through messages, session and mirror: in any order, cut off, and false."""

from __future__ import annotations

from contextlib import suppress
from random import Random

from relocd.errors import Invalid, Unavailable
from relocd.model.dn import DN
from relocd.model.entries import EntryUUID
from relocd.sync.index import reduced
from relocd.sync.messages import EntryState, IdSet, NewCookie, PhaseEnd, SyncState, sync_info, sync_state
from relocd.sync.mirror import Mirror
from relocd.sync.session import SearchLost, Session, Started, SyncCookie
from tests.fuzz.defects import no_defects
from tests.fuzz.frame import given
from tests.fuzz.odd import odd_bytes, odd_text, one_in
from tests.fuzz.tree import ME, Message, Tree
from tests.support.entries import BASE, csn, entry

NAME = "syncrepl"
CASES = 2400
_CHUNK = b"\x30\x15\x0a\x01\x01\x04\x10" + bytes(range(16))


def case(random: Random) -> None:
    """Some changes and searches; whenever no doubt is left, the mirror is what the provider has."""
    follower, hostile, told = _Follower(random), one_in(random, 3), list[str]()
    with given(told=told), no_defects():
        for _ in range(random.randrange(1, 25)):
            told.append(follower.step())
            if hostile and one_in(random, 2):
                told.append(follower.lie())
            elif not hostile:
                follower.check()
        follower.lose()
        follower.mirror.distrust("the end")
        follower.refresh(whole=True)
        follower.check()
        assert not follower.mirror.doubt
        _read(odd_bytes(random, _CHUNK.hex()))
        _read(bytes(byte if random.randrange(8) else random.randrange(256) for byte in _CHUNK))


def _read(value: bytes) -> None:
    for read in (sync_state, sync_info):
        with suppress(Invalid):
            read(value)  # type: ignore[operator]
    with suppress(Invalid):
        SyncCookie.parse(value.decode("latin-1"))


class _Follower:
    """A mirror that follows a provider as the agent's feed does."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.tree = Tree(random)
        self.mirror = Mirror(DN.parse(ME), None, random.choice((0, 3000, 1 << 20)))
        self._cookie: SyncCookie | None = None
        self._session: Session | None = None
        self._steps = (self._change, self._change, self._change, self.refresh, self.lose, self._restart, self._odd_day)

    def step(self) -> str:
        """One thing happens; what it was."""
        step = self._random.choice(self._steps)
        step()
        return step.__name__

    def lie(self) -> str:
        """Something is told that is not true; what it was."""
        if self._session is None:
            return "nothing"
        uuids = tuple(EntryUUID(f"{self._random.randrange(9):08}") for _ in range(self._random.randrange(3)))
        known = self._random.choice(list(self.tree.entries))
        with suppress(Invalid):
            name = DN.parse(self._random.choice((BASE, ME, f"cn=state,{ME}", odd_text(self._random))))
            false = entry("x", self._random.choice(("relocServer", "relocServiceState", "relocService", "device")))
            false = type(false)(known, name, self._random.choice(("", csn(1), csn(9999))), false.attributes)
            cookie = self._random.choice((None, "", odd_text(self._random), self.tree.cookie))
            lies: list[Message] = [
                (SyncState(self._random.choice(list(EntryState)), known, cookie), false),
                IdSet(self._random.randrange(2) == 0, (*uuids, known), cookie),
                NewCookie(cookie or ""),
                PhaseEnd(self._random.randrange(2) == 0, self._random.randrange(2) == 0, cookie),
            ]
            lie = self._random.choice(lies)
            self._take(lie)
            return repr(lie)
        return "nothing"

    def check(self) -> None:
        """Where no doubt is left, what is known is what is there."""
        if self._session is None or self._session.refreshing or self.mirror.doubt:
            return
        known = {record.uuid: (record.key, record.links, record.csn) for record in self.mirror._index}
        there = {each.uuid: (each.dn.key, reduced(each).links, each.csn) for each in self.tree.entries.values()}
        wrong = {uuid for uuid in known.keys() | there if known.get(uuid) != there.get(uuid)}
        assert not wrong, {uuid: (known.get(uuid), there.get(uuid)) for uuid in wrong}
        for record in self.mirror.missing:
            assert self.mirror.fill(self.tree.entries[record.uuid])
        assert self.mirror.snapshot is not None
        values = [record.whole.value for record in self.mirror._index if record.whole and record.whole.value]
        for value in values:
            assert value.dn == self.tree.entries[value.uuid].dn

    def refresh(self, *, whole: bool = False) -> None:
        """A search begins; it ends with its refresh, or in the middle of it."""
        self.lose()
        forgets = self._cookie is None or self.mirror.doubt or self._cookie.is_ahead_of(_of(self.tree.cookie))
        session = Session(None if forgets else self._cookie)
        self._session = session
        self.mirror.apply([Started("ldap://fuzz", fresh=session.cookie is None)])
        messages = list(self.tree.refresh(session.cookie))
        for message in messages[
            : None if whole or self._random.randrange(4) else self._random.randrange(len(messages))
        ]:
            self._take(message)
        if session.refreshing:
            self.lose()
            return
        for message in self.tree.beat():
            self._take(message)

    def lose(self) -> None:
        """The search ends."""
        if self._session is not None:
            self._cookie, self._session = self._session.cookie, None
            self.mirror.apply([SearchLost("cut off")])

    def _take(self, message: Message) -> None:
        session = self._session
        if session is None:
            return
        try:
            self.mirror.apply(session.entry(*message) if isinstance(message, tuple) else session.info(message))
        except Unavailable:
            self.lose()

    def _change(self) -> None:
        for message in list(self.tree.change()):
            self._take(message)

    def _restart(self) -> None:
        self.lose()
        saved = self.mirror.saved
        if saved is not None:
            self.mirror = Mirror(DN.parse(ME), saved, 1 << 20)
            self._cookie = SyncCookie.parse(saved.cookie)

    def _odd_day(self) -> None:
        if self._random.randrange(2):
            self.tree.set_back()
        else:
            self.lose()
            self.tree.exchange()


def _of(cookie: str) -> SyncCookie:
    return SyncCookie.parse(cookie)
