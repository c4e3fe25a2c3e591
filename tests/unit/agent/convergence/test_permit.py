"""Nothing that only one server may have is raised without a permit, and a refusal is told from every other error."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from relocd.agent.convergence.converge import Options, converge, stage
from relocd.agent.convergence.permit import NotPermitted, ServePermit
from relocd.errors import Unavailable
from relocd.model.template_set import Role
from relocd.reconcile.desired import Footprint
from tests.support.fakes import FakeServer
from tests.support.plans import goal

ACTIVE = goal("one", Role.ACTIVE, "192.0.2.10/24")
NOTHING = Footprint("one")


@dataclass
class Guard:
    """Issues permits, or fails with an error; `asked` are the goals that it was asked for."""

    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    async def permit(self, wanted):
        self.asked.append(wanted.name)
        if self.error is not None:
            raise self.error
        return ServePermit(lifetime_s=7)


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture(params=[False, True], ids=["asked when it is needed", "asked early"])
def early(request):
    return request.param


async def test_a_refusal_leaves_everything_as_it_is_and_is_busy(server, early):
    guard = Guard(NotPermitted("not now"))
    report = await converge(server.host, ACTIVE, NOTHING, Options(guard=guard, ask_early=early))
    assert (report.busy, report.footprint, report.problems) == (True, NOTHING, ("not now",))
    assert server.addresses.ours == set()
    assert guard.asked == ["one"]


async def test_another_error_is_no_refusal(server, early):
    with pytest.raises(Unavailable):
        await converge(server.host, ACTIVE, NOTHING, Options(guard=Guard(Unavailable("silent")), ask_early=early))


async def test_what_is_raised_has_the_permits_lifetime(server, early):
    report = await converge(server.host, ACTIVE, NOTHING, Options(guard=Guard(), ask_early=early))
    assert (report.problems, set(server.addresses.lifetimes.values())) == ((), {7})


async def test_no_permit_is_needed_for_what_is_here_already(server):
    report = await converge(server.host, ACTIVE, NOTHING, Options(guard=Guard()))
    guard = Guard(NotPermitted("not now"))
    again = await converge(server.host, ACTIVE, report.footprint, Options(guard=guard))
    assert (guard.asked, again.problems) == ([], ())


async def test_what_was_staged_is_neither_planned_nor_rendered_again(server):
    staged = await stage(server.host, ACTIVE, NOTHING)
    server.sets.sets.clear()  # which would be a problem of a plan from scratch
    report = await converge(server.host, ACTIVE, NOTHING, Options(staged=staged))
    assert (report.problems, report.footprint.role) == ((), Role.ACTIVE)
