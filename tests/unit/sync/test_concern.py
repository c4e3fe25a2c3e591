"""Which entries concern a server: one small directory, seen from the server `me`."""

from __future__ import annotations

import pytest

from relocd.model.dn import DN
from relocd.sync.concern import concern_of
from relocd.sync.content import Content, reduced
from tests.entries import ME, cluster, dn, server, service, uuid_of

MY_KEY = DN.parse(ME).key
LAB = (
    server("me", services=["ntp", "gone"], clusters=["pair"]),
    server("twin", clusters=["pair"]),
    server("clock", services=["ntp"]),
    cluster("pair", services=["web", "absent"], active="hero"),
    cluster("trio", services=["web"]),
    server("third", clusters=["trio"]),
    service("web"),
    service("ntp"),
    service("far"),
    cluster("afar", services=["far"], active="me"),
    server("stranger", services=["far"], clusters=["afar"]),
    server("hero"),
)


def concern_in(*entries):
    content = Content(map(reduced, entries))
    return content, concern_of(content, content.get(uuid_of("me")), MY_KEY)


def test_it_is_me_what_i_am_linked_to_and_who_else_is_linked_to_that():
    _, concern = concern_in(*LAB)
    assert concern.uuids == {uuid_of(name) for name in ("me", "ntp", "pair", "web", "twin", "clock", "trio", "third")}


def test_without_my_entry_only_my_name_is_of_concern():
    content, concern = concern_in(*LAB[1:])
    assert concern.uuids == frozenset()
    assert concern.touches(reduced(server("me")))
    assert not any(concern.touches(record) for record in content)


@pytest.mark.parametrize(
    "appearing",
    [
        pytest.param(service("gone"), id="a service that I am linked to"),
        pytest.param(service("absent"), id="a service that my cluster is linked to"),
        pytest.param(server("new", clusters=["pair"]), id="a member of my cluster"),
        pytest.param(server("new", services=["web"]), id="a server linked to a service of mine"),
        pytest.param(cluster("new", services=["ntp"]), id="a cluster linked to a service of mine"),
        pytest.param(server("new", services=["gone"]), id="a server linked to a service that is not there yet"),
        pytest.param(server("new", clusters=["trio"]), id="a member of a cluster that shares a service with me"),
        pytest.param(service("third", uuid=uuid_of("new")), id="an entry that takes the name of one of concern"),
        pytest.param(server("hero", at=1), id="the active server that my cluster names"),
    ],
)
def test_what_appears_touches_it(appearing):
    _, concern = concern_in(*LAB)
    assert concern.touches(reduced(appearing))


@pytest.mark.parametrize(
    "appearing",
    [
        pytest.param(service("new"), id="a service of nobody"),
        pytest.param(server("new", services=["far"]), id="a server linked elsewhere"),
        pytest.param(cluster("new", services=["far"], active="me"), id="a cluster that only names me active"),
        pytest.param(service("far", at=1), id="a change of another server's service"),
    ],
)
def test_what_concerns_others_does_not_touch_it(appearing):
    _, concern = concern_in(*LAB)
    assert not concern.touches(reduced(appearing))


def test_nothing_touches_it_not():
    _, concern = concern_in(*LAB)
    assert not concern.touches(None)


def test_who_is_linked_by_a_former_name_is_of_concern():
    content, _ = concern_in(*LAB, server("old", services=["ntp"]))
    content.put(reduced(service("time", uuid=uuid_of("ntp"))))
    content.put(reduced(server("me", services=["time"])))
    concern = concern_of(content, content.get(uuid_of("me")), MY_KEY)
    assert {uuid_of("old"), uuid_of("clock")} < concern.uuids
    assert DN.parse(dn("ntp")).key in concern.keys
