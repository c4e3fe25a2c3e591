"""What an order changes: entries in, modifications out."""

from __future__ import annotations

import pytest

from relocd.errors import Invalid
from relocd.model.dn import DN
from relocd.model.entries import Cluster, Server
from relocd.model.writes import Add, Delete, Replace
from relocd.operator.change.changes import OrderPlan, activate, fence, link, unfence, unlink
from tests.support import entries

LINK = "relocServiceLink"


def names(*short: str) -> list[DN]:
    return [DN.parse(entries.dn(each)) for each in short]


def server(name: str, *services: str, clusters: tuple[str, ...] = (), **more: str) -> Server:
    value = entries.understood(entries.server(name, services=services, clusters=clusters, **more))
    assert isinstance(value, Server)
    return value


def cluster(name: str, active: str | None = None) -> Cluster:
    value = entries.understood(entries.cluster(name, active=active))
    assert isinstance(value, Cluster)
    return value


def values(*short: str) -> tuple[bytes, ...]:
    return tuple(entries.dn(each).encode() for each in short)


def changes(move: OrderPlan) -> list[tuple[str, object]]:
    return [(each.dn.name, change) for each in move.modifications for change in each.changes]


class TestOneOrder:
    @pytest.mark.parametrize(
        ("move", "expected"),
        [
            pytest.param(link(server("b"), names("web")), [("b", Add(LINK, values("web")))], id="link"),
            pytest.param(link(server("b", "web"), names("web")), [], id="linked already"),
            pytest.param(link(server("b", "web"), [DN.parse("CN=Web, OU=relocd,dc=example,DC=org")]), [], id="spelled"),
            pytest.param(unlink(server("b", "web"), *names("web")), [("b", Delete(LINK, values("web")))], id="unlink"),
            pytest.param(unlink(server("b", "fax"), *names("web")), [], id="not linked"),
            pytest.param(fence(server("b")), [("b", Replace("relocFenced", (b"TRUE",)))], id="fence"),
            pytest.param(fence(server("b", relocFenced="TRUE")), [], id="fenced already"),
            pytest.param(unfence(server("b", relocFenced="TRUE")), [("b", Replace("relocFenced"))], id="unfence"),
            pytest.param(unfence(server("b", relocFenced="FALSE")), [], id="not fenced"),
            pytest.param(
                activate(cluster("pair", "a"), server("b", clusters=("pair",))),
                [("pair", Replace("relocActive", values("b")))],
                id="activate",
            ),
            pytest.param(activate(cluster("pair", "b"), server("b", clusters=("pair",))), [], id="active already"),
        ],
    )
    def test_changes_what_is_not_so_yet_and_says_it(self, move: OrderPlan, expected: list[tuple[str, object]]) -> None:
        assert changes(move) == expected
        assert bool(move.done) == bool(expected)
        assert bool(move.already) != bool(expected)

    def test_links_are_one_modify_and_only_the_missing_ones(self) -> None:
        move = link(server("b", "fax"), names("web", "fax", "mail"))
        assert changes(move) == [("b", Add(LINK, values("mail", "web")))]
        assert move.already == ("b is already linked to fax",)

    def test_who_is_no_member_cannot_be_active(self) -> None:
        with pytest.raises(Invalid, match="is not a member of cn=pair"):
            activate(cluster("pair"), server("b"))
