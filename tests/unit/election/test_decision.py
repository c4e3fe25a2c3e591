"""What a server is to a service, and why: the table of links and clusters."""

from __future__ import annotations

import pytest

from relocd.election.eligibility import Decision, decision
from relocd.model.template_set import Role
from tests.support.directory import snapshot
from tests.support.entries import cluster, server, service, uuid_of

EXCLUSIVE = service("web", relocAddress="192.0.2.10/24")
SHARED = service("web")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param(
            [server("me", services=["web"]), EXCLUSIVE], Decision(Role.ACTIVE, "linked directly"), id="direct link"
        ),
        pytest.param([server("me"), server("twin", services=["web"]), EXCLUSIVE], None, id="only another is linked"),
        pytest.param(
            [server("me", clusters=["pair"]), cluster("pair"), EXCLUSIVE], None, id="cluster without the link"
        ),
        pytest.param([server("me", clusters=["gone"]), EXCLUSIVE], None, id="dangling cluster link"),
        pytest.param(
            [server("me", clusters=["pair"]), cluster("pair", services=["web"], active="me"), EXCLUSIVE],
            Decision(Role.ACTIVE, "active server of cluster pair", uuid_of("pair")),
            id="active member",
        ),
        pytest.param(
            [
                server("me", clusters=["pair"]),
                server("twin", clusters=["pair"]),
                cluster("pair", services=["web"], active="twin"),
                EXCLUSIVE,
            ],
            Decision(Role.STANDBY, "member of cluster pair, where twin is active", uuid_of("pair")),
            id="standby member",
        ),
        pytest.param(
            [server("me", clusters=["pair"]), cluster("pair", services=["web"], active="gone"), EXCLUSIVE],
            Decision(Role.STANDBY, "member of cluster pair, where gone is active", uuid_of("pair")),
            id="the active server does not exist",
        ),
        pytest.param(
            [server("me", clusters=["pair"]), cluster("pair", services=["web"]), EXCLUSIVE],
            Decision(Role.STANDBY, "member of cluster pair, which has no active server", uuid_of("pair")),
            id="nobody is active",
        ),
        pytest.param(
            [server("me", clusters=["pair"]), cluster("pair", services=["web"], active="twin"), SHARED],
            Decision(Role.ACTIVE, "shared, and member of cluster pair", uuid_of("pair")),
            id="shared service",
        ),
        pytest.param(
            [
                server("me", clusters=["pair"]),
                cluster("pair", services=["web"], active="me", relocFailover="external"),
                EXCLUSIVE,
            ],
            Decision(Role.ACTIVE, "active server of cluster pair", uuid_of("pair"), files_only=True),
            id="active member of an external cluster",
        ),
        pytest.param(
            [
                server("me", clusters=["pair"]),
                cluster("pair", services=["web"], relocFailover="external"),
                EXCLUSIVE,
            ],
            Decision(
                Role.STANDBY, "member of cluster pair, which has no active server", uuid_of("pair"), files_only=True
            ),
            id="standby member of an external cluster",
        ),
        pytest.param(
            [
                server("me", services=["web"], clusters=["pair"]),
                cluster("pair", services=["web"], active="twin", relocFailover="external"),
                EXCLUSIVE,
            ],
            Decision(Role.ACTIVE, "linked directly"),
            id="a direct link outranks a cluster's",
        ),
        pytest.param(
            [
                server("me", clusters=["a", "b"]),
                cluster("a", services=["web"], active="twin"),
                cluster("b", services=["web"], active="me"),
                EXCLUSIVE,
            ],
            Decision(Role.ACTIVE, "active server of cluster b", uuid_of("b")),
            id="active in one of two clusters",
        ),
        pytest.param(
            [
                server("me", clusters=["b", "a"]),
                cluster("a", services=["web"]),
                cluster("b", services=["web"]),
                EXCLUSIVE,
            ],
            Decision(Role.STANDBY, "member of cluster a, which has no active server", uuid_of("a")),
            id="standby in two clusters",
        ),
    ],
)
def test_what_a_server_is_to_a_service(entries, expected):
    seen = snapshot(*entries)
    found = seen.services.get(uuid_of("web"))
    assert (None if found is None else decision(seen, seen.me, found)) == expected


def test_links_in_other_spelling_are_the_same_link():
    seen = snapshot(server("me", relocServiceLink="CN = Web , OU=relocd, DC=example,DC=ORG"), EXCLUSIVE)
    assert decision(seen, seen.me, seen.services[uuid_of("web")]).role is Role.ACTIVE
