"""The index: entries by identity, by present and former name, and by what links to them."""

from __future__ import annotations

import pytest

from relocd.model.dn import DN
from relocd.sync.index import Index, Record, reduced, whole
from tests.support.entries import cluster, dn, entry, server, service, uuid_of


def key(name: str) -> str:
    return DN.parse(dn(name)).key


def indexed(*entries) -> Index:
    return Index(map(reduced, entries))


def name_found(found: Index, name: str) -> str | None:
    """The short name of the entry that is found at a short name."""
    record = found.named(key(name))
    return None if record is None else record.key.partition("=")[2].partition(",")[0]


def renamed(name: str, new_name: str, **links):
    return reduced(server(new_name, uuid=uuid_of(name), **links))


def test_what_is_kept_of_any_entry_has_no_values():
    record = reduced(service("web", relocParameter="a=1", relocSecret="b=2", at=7))
    assert record == Record(uuid_of("web"), key("web"), service("web", at=7).csn, ())


def test_links_are_kept_by_normalised_name():
    link = dn("WEB").replace(",", " , ").replace("cn=", "CN = ")
    record = reduced(server("me", relocServiceLink=link, clusters=["pair"]))
    assert record.links == (key("web"), key("pair"))
    assert reduced(cluster("pair", services=["web"], active="me")).uses == (key("web"), key("me"))


def test_a_link_that_is_no_name_is_left_to_the_parser():
    record = whole(server("me", relocServiceLink=["web", b"\xff", dn("ntp")]))
    assert record.links == (key("ntp"),)
    assert record.whole.value is None
    assert len(record.whole.problems) == 2


def test_links_of_entries_without_a_class_of_ours_do_not_count():
    assert reduced(entry("x", "device", relocServiceLink=dn("web"))).links == ()


def test_an_entry_is_found_by_identity_name_and_links():
    found = indexed(server("me", services=["web"]), service("web"))
    assert len(found) == 2
    assert uuid_of("web") in found
    assert found.get(uuid_of("web")).key == key("web")
    assert name_found(found, "web") == "web"
    assert found.linking_to(key("web")) == {uuid_of("me")}


def test_a_removed_entry_is_found_nowhere():
    found = indexed(server("me", services=["web"]), service("web"))
    found.remove(uuid_of("me"))
    found.remove(uuid_of("me"))
    assert uuid_of("me") not in found
    assert (name_found(found, "me"), found.linking_to(key("web"))) == (None, frozenset())


def test_links_follow_a_change():
    found = indexed(server("me", services=["web", "ntp"]))
    found.put(reduced(server("me", services=["ntp", "dns"])))
    assert [found.linking_to(key(name)) for name in ("web", "ntp", "dns")] == [set(), {uuid_of("me")}, {uuid_of("me")}]


def test_an_entry_that_takes_a_name_replaces_the_one_that_had_it():
    found = indexed(service("web"))
    assert found.put(reduced(service("web", uuid=uuid_of("new web")))) == uuid_of("web")
    assert uuid_of("web") not in found
    assert found.named(key("web")).uuid == uuid_of("new web")


class TestFormerNames:
    def test_a_renamed_entry_is_found_by_a_name_that_is_still_linked_to(self):
        found = indexed(server("me", services=["web"]), service("web"))
        found.put(renamed("web", "www"))
        assert (name_found(found, "web"), name_found(found, "www")) == ("www", "www")

    def test_a_renamed_server_is_found_by_the_name_that_a_cluster_calls_active(self):
        found = indexed(cluster("pair", active="node"), server("node"))
        found.put(renamed("node", "host"))
        assert name_found(found, "node") == "host"

    def test_a_name_that_nothing_uses_is_forgotten(self):
        found = indexed(service("web"))
        found.put(renamed("web", "www"))
        assert name_found(found, "web") is None

    def test_it_is_forgotten_when_the_last_link_is_corrected(self):
        found = indexed(server("me", services=["web"]), server("you", services=["web"]), service("web"))
        found.put(renamed("web", "www"))
        found.put(reduced(server("me", services=["www"])))
        assert name_found(found, "web") == "www"
        found.put(reduced(server("you", services=["www"])))
        assert (name_found(found, "web"), found.former) == (None, {})

    def test_it_is_forgotten_when_the_last_linking_entry_is_removed(self):
        found = indexed(server("me", services=["web"]), service("web"))
        found.put(renamed("web", "www"))
        found.remove(uuid_of("me"))
        assert found.former == {}

    def test_another_link_beside_the_old_one_does_not_make_it_forgotten(self):
        """The link to the former name still stands: losing it would stop a service that was only renamed."""
        found = indexed(server("me", services=["web"]), service("web"))
        found.put(renamed("web", "www"))
        found.put(reduced(server("me", services=["web", "ntp"])))
        assert name_found(found, "web") == "www"

    def test_a_renamed_linking_entry_does_not_make_it_forgotten(self):
        found = indexed(server("me", services=["web"]), service("web"))
        found.put(renamed("web", "www"))
        found.put(renamed("me", "myself", services=["web"]))
        assert name_found(found, "web") == "www"

    def test_an_entry_that_takes_the_name_has_it(self):
        found = indexed(server("me", services=["web"]), service("web"))
        found.put(renamed("web", "www"))
        found.put(reduced(service("web", uuid=uuid_of("new web"))))
        assert found.named(key("web")).uuid == uuid_of("new web")
        found.remove(uuid_of("new web"))
        assert found.named(key("web")) is None

    def test_an_entry_that_takes_its_name_back_has_no_former_name(self):
        found = indexed(server("me", services=["web"]), service("web"))
        found.put(renamed("web", "www"))
        found.put(reduced(service("web")))
        assert (name_found(found, "web"), found.former) == ("web", {})

    def test_all_names_of_an_entry_renamed_twice_are_known(self):
        found = indexed(server("me", services=["web", "www"]), service("web"))
        found.put(renamed("web", "www"))
        found.put(renamed("web", "w3"))
        assert [name_found(found, name) for name in ("web", "www", "w3")] == ["w3", "w3", "w3"]

    def test_two_entries_that_swap_their_names_are_found_by_their_new_ones(self):
        found = indexed(server("me", services=["a", "b"]), service("a"), service("b"))
        for change in (renamed("a", "x"), renamed("b", "a"), renamed("a", "b")):
            found.put(change)
        assert found.named(key("a")).uuid == uuid_of("b")
        assert found.named(key("b")).uuid == uuid_of("a")
        assert found.former == {}

    def test_a_removed_entry_is_not_found_by_a_former_name(self):
        found = indexed(server("me", services=["web"]), service("web"))
        found.put(renamed("web", "www"))
        found.remove(uuid_of("web"))
        assert found.named(key("web")) is None

    def test_they_are_taken_over_from_an_earlier_index(self):
        found = indexed(server("me", services=["web"]), service("web"))
        found.put(renamed("web", "www"))
        later = Index(list(found), found.former)
        assert name_found(later, "web") == "www"

    def test_one_of_an_entry_that_is_not_there_is_not_taken_over(self):
        assert Index([], {key("web"): uuid_of("web")}).former == {}


@pytest.mark.parametrize("times", [1, 2])
def test_the_same_record_again_changes_nothing(times):
    found = indexed(server("me", services=["web"]), service("web"))
    before = (list(found), found.former, found.linking_to(key("web")))
    for _ in range(times):
        found.put(reduced(server("me", services=["web"])))
    assert (list(found), found.former, found.linking_to(key("web"))) == before
