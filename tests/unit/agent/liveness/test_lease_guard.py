"""Whether a server may still have to run a service that its holder is about to release."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relocd.agent.convergence.permit import NotPermitted
from relocd.agent.liveness.lease_guard import HolderGuard
from relocd.election.eligibility import OwnershipView
from relocd.election.observation import Eligible, State
from relocd.errors import Failed, Unavailable
from relocd.model.dn import DN
from relocd.model.template_set import Role
from tests.support.directory import ModelDirectory
from tests.support.entries import BASE, cluster, dn, server, service, uuid_of
from tests.support.fake_directory import FakeReader
from tests.support.plans import goal

MOVED = f"cn=web,ou=elsewhere,{BASE}"
WEB = service("web")


async def chosen_by(*entries):
    """What a holder finds that knows the service by its first name, and is not linked to it."""
    guard = HolderGuard(FakeReader(ModelDirectory([server("me"), *entries])))
    holder = OwnershipView(uuid_of("me"), DN.parse(dn("web")), None, None, Eligible())
    return await guard.still_chosen(holder, uuid_of("web"))


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([WEB], id="no link"),
        pytest.param([WEB, server("twin", services=["ntp"])], id="a link to another service"),
        pytest.param([WEB, cluster("pair", services=["web"])], id="a cluster without an active server"),
        pytest.param(
            [WEB, cluster("pair", services=["web"], active="twin", relocFailover="external")],
            id="the cluster of another cluster manager",
        ),
    ],
)
async def test_nobody(others):
    assert await chosen_by(*others) == ""


@pytest.mark.parametrize(
    ("other", "who"),
    [
        pytest.param(server("twin", services=["web"]), "cn=twin", id="linked directly"),
        pytest.param(cluster("pair", services=["web"], active="twin"), "cn=pair", id="active in a cluster"),
        pytest.param(cluster("pair", services=["web"], relocFailover="?"), "cn=pair", id="a cluster that is odd"),
        pytest.param(server("twin", relocServiceLink=MOVED), "cn=twin", id="by a name that no search has told of"),
    ],
)
async def test_somebody(other, who):
    """The service has moved with a folder above it, or it has not."""
    moved = b"elsewhere" in b"".join(other.attributes.get("relocservicelink", ()))
    web = replace(WEB, dn=DN.parse(MOVED)) if moved else WEB
    assert (await chosen_by(web, other)).startswith(f"{who},{BASE} ")


@pytest.mark.parametrize("error", [Unavailable("no answer"), Failed("insufficient access")])
async def test_a_state_that_cannot_be_read_permits_nothing(error):
    reader = FakeReader(ModelDirectory([server("me")]))
    reader.refusal = error
    holder = OwnershipView(uuid_of("me"), DN.parse(dn("web")), State(uuid_of("me")), None, Eligible())
    with pytest.raises(NotPermitted, match=str(error)):
        await HolderGuard(reader).permit(replace(goal("web", Role.ACTIVE), ownership=holder))
