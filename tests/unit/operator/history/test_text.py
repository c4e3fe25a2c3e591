"""The history as an administrator reads it: 80 columns, short names that tell identities apart, nothing that acts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from relocd.model.dn import DN
from relocd.model.history import Happened, HistoryRecord
from relocd.operator.history.records import Told, Wanted
from relocd.operator.history.text import as_json, as_lines
from relocd.operator.who import short_names

AT = datetime(2026, 11, 30, 15, 49, 24, 123000, UTC)
NODE1, NODE2 = "cn=node1,ou=servers,dc=example", "cn=node2,ou=servers,dc=example"
ANNA, ROOT = "uid=anna,ou=people,dc=example", "gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth"
MOVE = HistoryRecord(AT, Happened.SERVED, NODE2, 12, NODE1, NODE2, "R3", "node2 linked", ANNA, 4.2)
WEB = DN.parse("cn=web,ou=services,dc=example")


def lines(*records):
    return list(as_lines(Told(WEB, each) for each in records))


def test_a_move_is_two_lines():
    assert lines(MOVE) == [
        "2026-11-30 15:49:24.123Z  web 12: node1 -> node2, serves after 4 ms",
        "    by anna: node2 linked (R3)",
    ]


@pytest.mark.parametrize("event", list(Happened))
@pytest.mark.parametrize("whole", [True, False])
def test_no_record_is_wider_than_a_terminal_or_acts_on_it(event, whole):
    more = (99, NODE1, NODE2, "R8", "\x1b[31mlong " * 40, ANNA, 1e9) if whole else ()
    found = lines(HistoryRecord(AT, event, "cn=" + "x" * 60 + ",dc=example", *more))
    assert found
    assert all(len(line) <= 80 and line.isprintable() for line in found)


def test_json_has_the_service_and_the_identities_as_they_are():
    found = as_json(Told(WEB, MOVE))
    assert found["service"] == "web"
    assert found["service_dn"] == WEB.text
    assert found["by"] == ANNA
    assert found["took_ms"] == 4.2


class TestWho:
    def test_the_first_rdn_is_enough(self):
        assert short_names([ANNA, NODE1]) == {ANNA: "anna", NODE1: "node1"}

    def test_two_that_would_look_the_same_are_shown_whole(self):
        other = "uid=anna,ou=robots,dc=example"
        assert short_names([ANNA, other]) == {ANNA: ANNA, other: other}

    def test_one_that_is_written_in_two_ways_is_one(self):
        assert set(short_names([ANNA, ANNA.upper()]).values()) == {"anna", "ANNA"}

    def test_a_user_of_the_machine_is_shown_as_one(self):
        user = ROOT.replace("uidNumber=0", "uidNumber=1000")
        assert short_names([ROOT, user]) == {ROOT: "root", user: "uid 1000"}

    @pytest.mark.parametrize("text", ["", "no name at all", "cn=\x1b[31m,dc=x", "="])
    def test_whatever_is_there_is_shown_as_text(self, text):
        (shown,) = short_names([text]).values()
        assert shown
        assert shown.isprintable()


class TestWanted:
    def test_one_server_has_what_it_wrote_lost_or_got(self):
        others = HistoryRecord(AT, Happened.REFUSED, NODE1)
        for server, found in ((NODE1, [MOVE, others]), (NODE2, [MOVE])):
            wanted = Wanted(server=DN.parse(server.upper()))
            assert [each for each in (MOVE, others) if wanted.includes(Told(WEB, each))] == found

    def test_since_a_moment(self):
        assert Wanted(since=AT).includes(Told(WEB, MOVE))
        assert not Wanted(since=AT.replace(second=25)).includes(Told(WEB, MOVE))
