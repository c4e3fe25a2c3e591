"""A directory that is not what it was: lost content that comes back, and a clock that was wrong once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.lab.deadline import until
from tests.lab.hosts.node import Node
from tests.lab.slapd.ldif import SUFFIX, link_ldif, service_dn
from tests.system.conftest import Pair, actions, directory, has, linked, state, status

BASE_ONLY = f"dn: {SUFFIX}\nobjectClass: organizationalUnit\n\n"


def refreshes(node: Node) -> int:
    """How often an agent has read the directory."""
    return sum(line.message == "refresh complete" for line in node.lines())


def test_content_that_was_lost_and_comes_back_is_followed(pair: Pair, tmp_path: Path) -> None:
    """slapd comes up with the entry at the top only, and then with what it had: older than what was read meanwhile."""
    pair.service("web")
    pair.add(linked("node1", "web"), linked("node2"))
    one, two = pair.node("node1"), pair.node("node2")
    until(lambda: has(one) and state(one, "web") == "active")
    before = refreshes(one)
    pair.slapd.stop()
    pair.slapd.slapcat(tmp_path / "backup.ldif")
    pair.slapd.wipe()
    pair.slapd.start()
    pair.slapd.add(BASE_ONLY)
    until(lambda: refreshes(one) > before)
    pair.slapd.stop()
    pair.slapd.wipe()
    pair.slapd.slapadd(tmp_path / "backup.ldif")
    pair.slapd.start()
    pair.slapd.modify(f"dn: {SUFFIX}\nchangetype: modify\nreplace: description\ndescription: newer\n")
    until(lambda: directory(one) == "current" and not status(one)["problems"], timeout_s=20)
    assert has(one)
    assert not any(action.startswith("drop") for action in actions(one))
    pair.slapd.modify(link_ldif("web", "node2"))
    until(lambda: has(two) and not has(one))


def test_clock_that_was_two_hours_ahead_hides_no_change(pair: Pair, tmp_path: Path) -> None:
    pair.service("web", word="before")
    pair.add(linked("node1", "web"))
    pair.slapd.stop()
    pair.slapd.slapcat(tmp_path / "content.ldif")
    later = f"{datetime.now(UTC) + timedelta(hours=2):%Y%m%d%H%M%S.%f}Z#000000#000#000000"
    before, name, after = (tmp_path / "content.ldif").read_text().partition(f"dn: {service_dn('web')}\n")
    head, number, rest = after.partition("entryCSN: ")
    (tmp_path / "content.ldif").write_text(before + name + head + number + later + rest[rest.index("\n") :])
    pair.slapd.wipe()
    pair.slapd.slapadd(tmp_path / "content.ldif")
    pair.slapd.start()
    one = pair.node("node1")
    until(lambda: pair.word_of("web") == "before" and state(one, "web") == "active")
    until(lambda: any(problem["subject"] == "directory" for problem in status(one)["problems"]))
    pair.slapd.stop()
    until(lambda: directory(one) == "lost")
    pair.slapd.start()
    word = f"dn: {service_dn('web')}\nchangetype: modify\nreplace: relocParameter\nrelocParameter: word=after\n"
    pair.slapd.modify(word)
    until(lambda: pair.word_of("web") == "after")
