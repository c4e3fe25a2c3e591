"""What happens to the directory must not happen to the services: real slapd, real agents, real addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.deadline import until
from tests.lab.slapd.ldif import SUFFIX, base_ldif, history_dn, link_ldif, server_dn, service_dn, service_ldif, state_dn
from tests.lab.slapd.reading import attributes
from tests.system.conftest import ADDRESS, Pair, actions, directory, has, linked, problems, state, status


def test_service_follows_its_link(pair: Pair) -> None:
    pair.service("web", addresses=[f"{ADDRESS}/24", "2001:db8::50/64"])
    pair.add(linked("node1", "web"), linked("node2"))
    one, two = pair.node("node1"), pair.node("node2")
    until(lambda: has(one) and has(one, "2001:db8::50"))
    assert pair.word_of("web") == "hello"
    pair.slapd.modify(link_ldif("web", "node2"))
    until(lambda: has(two) and has(two, "2001:db8::50") and not has(one) and not has(one, "2001:db8::50"))


def test_restarted_slapd_is_found_again(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"), linked("node2"))
    one, two = pair.node("node1"), pair.node("node2")
    until(lambda: has(one))
    pair.slapd.stop()
    until(lambda: directory(one) == "lost")
    assert has(one)
    pair.slapd.start()
    pair.slapd.modify(link_ldif("web", "node2"))
    until(lambda: has(two) and not has(one))


def test_killed_slapd_stops_nothing(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one))
    pair.slapd.kill()
    until(lambda: directory(one) == "lost")
    assert has(one)
    assert not any(action.startswith("drop") for action in actions(one))
    pair.slapd.start()
    until(lambda: directory(one) == "current")
    assert has(one)


def test_empty_slapd_stops_nothing_and_a_reloaded_one_interrupts_nothing(pair: Pair) -> None:
    """Entries that are loaded again have other identities: what runs goes over to them without a gap."""
    tree = base_ldif()
    service = service_ldif("web", addresses=[f"{ADDRESS}/24"], template_sets=["plain"], parameters={"word": "hello"})
    pair.add(service, linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one))
    pair.slapd.stop()
    pair.slapd.wipe()
    pair.slapd.start()
    until(lambda: "not yet loaded" in status(one)["directory"]["detail"])
    assert has(one)
    pair.add(tree, service, linked("node1", "web"))
    until(lambda: any("added again" in line.message for line in one.lines()), timeout_s=20)
    until(lambda: state(one, "web") == "active" and not status(one)["problems"])
    assert has(one)
    assert not any(action.startswith(("drop", "remove")) for action in actions(one))


def test_stale_cache_and_cookie_are_not_trusted(pair: Pair) -> None:
    """An agent that was away finds another directory than it left: it acts on what is, not on what it remembers."""
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one))
    one.stop()
    pair.slapd.stop()
    pair.slapd.wipe()
    pair.slapd.start()
    pair.add(base_ldif(), linked("node1", "mail"))
    pair.service("mail", addresses=["192.0.2.51/24"])
    one.start()
    until(lambda: has(one, "192.0.2.51") and not has(one))
    assert pair.word_of("web") is None


@pytest.mark.parametrize("away", [False, True], ids=["agents-there", "agents-restarted"])
def test_restored_backup_is_followed_to_what_was(pair: Pair, tmp_path: Path, away: bool) -> None:
    """The agents' own heartbeats make a restored directory newer than their cookie before the search is resumed."""
    pair.service("web")
    pair.add(linked("node1", "web"), linked("node2"))
    handover = {"handover": {"lease_s": 2.0}}
    one, two = pair.node("node1", handover), pair.node("node2", handover)
    until(lambda: has(one) and state(one, "web") == "active")
    pair.slapd.slapcat(tmp_path / "backup.ldif")
    pair.slapd.modify(link_ldif("web", "node2"))
    until(lambda: has(two) and not has(one) and service_dn("web") not in pair.entry(server_dn("node1")))
    pair.slapd.stop()
    pair.slapd.wipe()
    pair.slapd.slapadd(tmp_path / "backup.ldif")
    for node in (one, two) if away else ():
        node.stop()
    pair.slapd.start()
    if away:
        pair.slapd.modify(f"dn: {SUFFIX}\nchangetype: modify\nreplace: description\ndescription: newer\n")
    for node in (one, two) if away else ():
        node.start()
    until(lambda: has(one) and not has(two), timeout_s=20)
    until(lambda: state(one, "web") == "active" and not status(two)["services"])


def test_link_to_an_entry_that_appears_later(pair: Pair) -> None:
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: any("does not exist" in problem["message"] for problem in status(one)["problems"]))
    pair.service("web")
    until(lambda: has(one) and not status(one)["problems"])


def test_deleted_service_stays_until_its_link_is_removed(pair: Pair) -> None:
    """An entry that cannot be seen may be hidden or not loaded yet; the link is the wish, and it still stands."""
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one) and attributes(pair.slapd, history_dn("web")))
    gone = (history_dn("web"), state_dn("web"), service_dn("web"))
    pair.slapd.modify("".join(f"dn: {dn}\nchangetype: delete\n\n" for dn in gone))
    until(lambda: any("remove the link" in problem["message"] for problem in status(one)["problems"]))
    assert has(one)
    pair.slapd.modify(f"dn: {server_dn('node1')}\nchangetype: modify\ndelete: relocServiceLink\n")
    until(lambda: not has(one) and pair.word_of("web") is None)


def test_renamed_service_and_server_do_not_restart(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one))
    for dn, name in ((service_dn("web"), "cn=shop"), (server_dn("node1"), "cn=first")):
        pair.slapd.modify(f"dn: {dn}\nchangetype: modrdn\nnewrdn: {name}\ndeleteoldrdn: 1\n")
    until(lambda: any("renamed" in problem["message"] for problem in status(one)["problems"]))
    until(lambda: state(one, "shop") == "active")
    assert has(one)
    assert pair.word_of("web") == "hello"  # what is here keeps the name that it came with
    assert not any(action.startswith(("drop", "remove", "install")) for action in actions(one)[3:])
    one.stop()
    one.start()
    until(lambda: directory(one) == "current" and status(one)["services"])
    assert has(one)


def test_link_spelled_in_another_way_is_the_same_link(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1"))
    one = pair.node("node1")
    spelled = "CN = WEB , OU=Services,ou=relocd , dc=EXAMPLE,dc=org"
    change = f"dn: {server_dn('node1')}\nchangetype: modify\nadd: relocServiceLink\nrelocServiceLink: {spelled}\n"
    pair.slapd.modify(change)
    until(lambda: has(one))
    cluster = f"cn=both,ou=clusters,{service_dn('web').partition('ou=services,')[2]}"
    pair.add(f"dn: {cluster}\nobjectClass: relocCluster\ncn: both\nrelocServiceLink: {service_dn('web')}\n\n")
    pair.slapd.modify(change.replace("relocServiceLink", "relocClusterLink").replace(spelled, cluster))
    until(lambda: sum(line.message == "change seen" for line in one.lines()) == 5)  # two are the state
    until(lambda: state(one, "web") == "active")
    assert len(status(one)["services"]) == 1
    assert sum(action.startswith("raise") for action in actions(one)) == 1


def test_two_hundred_modifies_in_a_second_converge_on_the_last(pair: Pair) -> None:
    pair.service("web", word="0")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: pair.word_of("web") == "0")
    pair.slapd.modify(
        "".join(
            f"dn: {service_dn('web')}\nchangetype: modify\nreplace: relocParameter\nrelocParameter: word={count}\n-\n\n"
            for count in range(1, 201)
        )
    )
    until(lambda: pair.word_of("web") == "200")
    seen = [line.fields["dn"] for line in one.lines() if line.message == "change seen"]
    assert seen.count(service_dn("web")) == 200
    assert sum(action.startswith("install") for action in actions(one)) < 50


def test_bad_entry_is_a_problem_and_what_runs_stays(pair: Pair) -> None:
    pair.service("web")
    pair.service("mail", addresses=["192.0.2.51/24"])
    pair.add(linked("node1", "web", "mail"))
    one = pair.node("node1")
    until(lambda: has(one) and has(one, "192.0.2.51"))
    replace = f"dn: {service_dn('web')}\nchangetype: modify\nreplace: relocAddress\nrelocAddress: {{}}\n"
    pair.slapd.modify(replace.format("192.0.2.999/24"))
    until(lambda: any("192.0.2.999" in problem["message"] for problem in status(one)["problems"]))
    assert has(one)
    pair.slapd.modify(
        f"dn: {service_dn('mail')}\nchangetype: modify\nreplace: relocParameter\nrelocParameter: word=on\n"
    )
    until(lambda: pair.word_of("mail") == "on")
    pair.slapd.modify(replace.format("192.0.2.52/24"))
    until(lambda: has(one, "192.0.2.52") and not has(one) and not status(one)["problems"])
    assert problems(one, "web") == ""
