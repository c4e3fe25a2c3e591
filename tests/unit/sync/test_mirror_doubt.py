"""What cannot be true together, or exists and is not known, is a doubt that only a search without a cookie ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.model.dn import DN
from relocd.model.entries import Entry, EntryUUID
from relocd.sync.mirror import Mirror
from relocd.sync.session import Cookie, Deleted, Present, PresentPhaseEnd, RefreshDone, Started, Upsert
from tests.support.directory import ModelDirectory
from tests.support.entries import BASE, csn, server, service, state, uuid_of
from tests.unit.sync.test_mirror import MY_DN, filled

COOKIE = f"rid=000,csn={csn(9)}"
RESUMED, FRESH = Started("ldap://model", fresh=False), Started("ldap://model", fresh=True)
END = (RefreshDone(), Cookie(COOKIE))


def folder(name, above=BASE):
    """A folder of the tree."""
    return Entry(uuid_of(name), DN.parse(f"ou={name},{above}"), csn(1), {"objectclass": (b"organizationalUnit",)})


def within(entry, folder_dn):
    """The same entry in a folder."""
    return replace(entry, dn=DN.parse(f"{entry.dn.text.partition(',')[0]},{folder_dn}"))


@pytest.fixture(params=[0, 1 << 20], ids=["nothing in stock", "all in stock"])
def mirror(request):
    """One that follows me, linked to a service in a folder."""
    mirror = Mirror(MY_DN, cache_bytes=request.param)
    web = within(service("web"), f"ou=a,{BASE}")
    me = server("me", relocServiceLink=web.dn.text)
    its = replace(state("web", holder="me"), dn=web.dn.below("cn=state"))
    mirror.apply([FRESH, *map(Upsert, (folder("a"), web, its, me)), *END])
    return mirror


def directory(*entries):
    found = ModelDirectory()
    found.entries = {entry.uuid: entry for entry in entries}
    return found


class TestPresent:
    def test_an_unknown_entry_that_is_there_unchanged_is_a_doubt(self, mirror):
        """The provider had lost its content when it was read, and has it again."""
        before = mirror.snapshot
        mirror.apply([RESUMED, Present((EntryUUID("unknown"),)), PresentPhaseEnd(), *END])
        assert mirror.doubt
        assert (mirror.snapshot, mirror.saved) == (before, None)

    def test_a_search_without_a_cookie_ends_it(self, mirror):
        mirror.apply([RESUMED, Present((EntryUUID("unknown"),)), PresentPhaseEnd(), *END])
        mirror.apply([FRESH, Upsert(server("me")), *END])
        assert not mirror.doubt
        assert mirror.snapshot.me.service_links == frozenset()

    def test_one_that_a_search_without_a_cookie_did_not_bring_is_no_doubt_again(self, mirror):
        """This identity may not read it, or its name is malformed."""
        hidden = Present((EntryUUID("hidden"),))
        mirror.apply([RESUMED, hidden, *END])
        mirror.apply([FRESH, Upsert(server("me")), hidden, *END])
        assert not mirror.doubt
        mirror.apply([RESUMED, hidden, *END])
        assert not mirror.doubt

    def test_one_that_was_brought_and_got_lost_again_is(self, mirror):
        web = Present((uuid_of("other"),))
        mirror.apply([RESUMED, web, *END])
        mirror.apply([FRESH, Upsert(server("me")), Upsert(service("other")), *END])
        mirror.apply([FRESH, Upsert(server("me")), *END])
        mirror.apply([RESUMED, web, *END])
        assert mirror.doubt


class TestRenameAbove:
    NEW = f"ou=b,{BASE}"

    def renamed(self):
        return replace(folder("a"), dn=DN.parse(self.NEW), csn=csn(10))

    def check(self, mirror):
        """All of it is known by the new names, and the link by the former one still finds it."""
        me = server("me", relocServiceLink=f"cn=web,ou=a,{BASE}")
        web = within(service("web"), self.NEW)
        its = replace(state("web", holder="me"), dn=web.dn.below("cn=state"))
        found = filled(mirror, directory(me, web, its)).snapshot
        assert found.services[uuid_of("web")].dn == web.dn
        assert found.states[uuid_of("web")].dn == its.dn
        assert found.linked(found.me) == {uuid_of("web")}
        assert found.dangling == frozenset()

    def test_what_is_below_goes_along(self, mirror):
        mirror.apply([Upsert(self.renamed())])
        assert not mirror.doubt
        self.check(mirror)

    def test_also_where_the_rest_is_named_present_before(self, mirror):
        """slapd names what is unchanged first; that says nothing of its name."""
        same = Present((uuid_of("web"), uuid_of("state of web"), uuid_of("me")))
        mirror.apply([RESUMED, same, Upsert(self.renamed()), PresentPhaseEnd(), *END])
        assert not mirror.doubt
        self.check(mirror)

    def test_a_corrected_link_finds_it(self, mirror):
        mirror.apply([Upsert(self.renamed()), Upsert(server("me", relocServiceLink=f"cn=web,{self.NEW}", at=11))])
        web = within(service("web"), self.NEW)
        its = replace(state("web", holder="me"), dn=web.dn.below("cn=state"))
        found = filled(mirror, directory(web, its)).snapshot
        assert found.linked(found.me) == {uuid_of("web")}
        assert found.problems == ()

    def test_an_entry_that_is_gone_while_what_was_below_it_is_not(self, mirror):
        """It has moved out of the base with all that is below it."""
        mirror.apply([Deleted((uuid_of("a"),))])
        assert mirror.doubt

    def test_two_folders_that_swapped_their_names_meanwhile(self, mirror):
        mirror.apply([Upsert(folder("b")), Upsert(within(service("db"), self.NEW))])
        one, two = self.renamed(), replace(folder("b"), dn=DN.parse(f"ou=a,{BASE}"), csn=csn(11))
        mirror.apply([RESUMED, Upsert(one), Upsert(two), *END])
        assert mirror.doubt


def test_a_name_that_is_given_to_another_entry_while_it_is_in_use_is_a_doubt(mirror):
    mirror.apply([Upsert(replace(server("me"), uuid=EntryUUID("another")))])
    assert mirror.doubt


def test_a_name_that_a_direct_read_finds_at_another_entry_waits_for_the_search(mirror):
    moved = replace(service("web"), dn=MY_DN, csn=csn(12))
    assert not mirror.fill(moved)
    assert not mirror.doubt


class TestNumbers:
    def test_a_resumed_search_with_older_numbers_may_have_passed_over_changes(self, mirror):
        mirror.apply([RESUMED, *END, Cookie(COOKIE, resumable=False)])
        assert mirror.doubt

    def test_a_search_of_everything_has_passed_over_nothing(self, mirror):
        mirror.apply([Cookie(COOKIE, resumable=False)])
        assert not mirror.doubt
        assert mirror.saved is None
        assert mirror.providers == 1
        mirror.apply([Cookie(COOKIE)])
        assert mirror.saved is not None
