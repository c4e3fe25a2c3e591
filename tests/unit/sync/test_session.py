"""Messages become events in order, and a cookie is given out only with the content it belongs to."""

from dataclasses import replace

import pytest

from relocd.errors import Unavailable
from relocd.model.dn import DN
from relocd.model.entries import Entry
from relocd.sync.messages import EntryState, IdSet, NewCookie, PhaseEnd, SyncState
from relocd.sync.session import Cookie, Deleted, Present, PresentPhaseEnd, RefreshDone, Session, SyncCookie, Upsert

UUID = "2f7ea5a2-5f5c-103f-8a3b-f3e9d9d1c9a1"
ENTRY = Entry(UUID, DN.parse("cn=web"), "", {})
A1 = "rid=000,csn=20260101120000.000001Z#000000#001#000000"
A2 = "rid=000,csn=20260101120000.000002Z#000000#001#000000"
B1 = "rid=000,csn=20260101120000.000001Z#000000#002#000000"
BOTH = A2 + ";" + B1.partition("csn=")[2]


def persisting(cookie=A1):
    session = Session(SyncCookie.parse(cookie))
    session.info(PhaseEnd(deletes=True, refresh_done=True, cookie=None))
    return session


@pytest.mark.parametrize(
    ("state", "entry", "event"),
    [
        (EntryState.ADD, ENTRY, Upsert(ENTRY)),
        (EntryState.MODIFY, ENTRY, Upsert(ENTRY)),
        (EntryState.DELETE, None, Deleted((UUID,))),
        (EntryState.PRESENT, None, Present((UUID,))),
        pytest.param(EntryState.MODIFY, None, Present((UUID,)), id="not understood, and so not gone either"),
    ],
)
def test_an_entry_becomes_an_event(state, entry, event):
    assert Session(None).entry(SyncState(state, UUID, None), entry) == [event]


def test_a_change_is_followed_by_its_cookie():
    assert persisting().entry(SyncState(EntryState.ADD, UUID, A2), ENTRY) == [Upsert(ENTRY), Cookie(A2)]


def test_the_cookie_of_one_provider_is_merged():
    assert persisting(A2).info(NewCookie(B1)) == [Cookie(BOTH)]


def test_an_older_cookie_takes_nothing_back():
    assert persisting(A2).info(NewCookie(A1)) == [Cookie(A2)]


def test_a_malformed_cookie_is_left_out():
    session = persisting()
    assert session.entry(SyncState(EntryState.ADD, UUID, "nonsense"), ENTRY) == [Upsert(ENTRY)]
    assert session.info(NewCookie("")) == []
    assert str(session.cookie) == A1


@pytest.mark.parametrize(
    ("end", "events"),
    [
        (PhaseEnd(True, True, A2), [RefreshDone(), Cookie(A2)]),
        (PhaseEnd(False, True, A2), [PresentPhaseEnd(), RefreshDone(), Cookie(A2)]),
        (PhaseEnd(True, True, None), [RefreshDone(), Cookie(A1)]),
        (PhaseEnd(False, False, A2), [PresentPhaseEnd()]),
        (PhaseEnd(True, False, A2), []),
    ],
)
def test_a_phase_ends(end, events):
    assert Session(SyncCookie.parse(A1)).info(end) == events


def test_cookies_wait_for_the_end_of_the_refresh():
    session = Session(SyncCookie.parse(A1))
    assert session.entry(SyncState(EntryState.ADD, UUID, A2), ENTRY) == [Upsert(ENTRY)]
    assert session.info(IdSet(True, (UUID,), B1)) == [Deleted((UUID,))]
    assert str(session.cookie) == A1, "a refresh cut short here starts again from where it began"
    assert session.info(PhaseEnd(True, True, None)) == [RefreshDone(), Cookie(BOTH)]
    assert str(session.cookie) == BOTH


def test_a_refresh_from_nothing_forgets_what_a_former_database_knew():
    session = Session(None)
    assert session.info(PhaseEnd(True, True, A1)) == [RefreshDone(), Cookie(A1)]


def test_a_refresh_without_a_state_does_not_count():
    session = Session(None)
    assert session.info(PhaseEnd(False, False, None)) == [PresentPhaseEnd()]
    with pytest.raises(Unavailable, match="not loaded yet"):
        session.info(PhaseEnd(True, True, None))
    assert session.refreshing


def test_a_state_that_is_not_understood_leaves_an_empty_cookie():
    session = Session(None)
    assert session.info(PhaseEnd(True, True, "another server's")) == [RefreshDone(), Cookie("")]
    assert session.cookie is None


class TestNumbersThatRunBehind:
    """A provider whose clock was ahead once stamps changes with older numbers than it has said before."""

    OLD = "20260101110000.000001Z#000000#001#000000"
    NEW = "20260101130000.000001Z#000000#001#000000"

    @staticmethod
    def changed(session, csn):
        return session.entry(SyncState(EntryState.MODIFY, UUID, None), replace(ENTRY, csn=csn))

    def test_the_cookie_is_no_point_to_resume_from(self):
        session = persisting(A2)
        assert self.changed(session, self.OLD) == [Upsert(replace(ENTRY, csn=self.OLD)), Cookie(A2, resumable=False)]
        assert session.cookie is None

    def test_it_is_one_again_after_a_newer_number(self):
        session = persisting(A2)
        self.changed(session, self.OLD)
        assert self.changed(session, self.NEW)[-1] == Cookie(A2)
        assert str(session.cookie) == A2

    def test_the_number_of_another_provider_says_nothing(self):
        session = persisting(A2)
        other = self.OLD.replace("#001#", "#002#")
        assert self.changed(session, other) == [Upsert(replace(ENTRY, csn=other))]

    def test_a_refresh_brings_changes_of_any_time(self):
        session = Session(SyncCookie.parse(A2))
        assert self.changed(session, self.OLD) == [Upsert(replace(ENTRY, csn=self.OLD))]
