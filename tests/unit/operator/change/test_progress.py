"""How far an order has come true: the state and the new server's own word in, a sentence out."""

from __future__ import annotations

import pytest

from relocd.model.dn import DN
from relocd.model.entries import Entry, Server, Service, ServiceState, csn_time_s
from relocd.model.status import status_of
from relocd.operator.change.progress import Progress, Reading, Stage, Watched, progress
from relocd.operator.status.view import server_view
from tests.support import entries

START = csn_time_s(entries.csn(0)) or 0.0
LINKED = entries.server("b", services=["web"])
ACTED = f"{entries.uuid_of('web')}="


def follow(
    *, state: Entry | None, status: Entry | None = None, server: Entry = LINKED, resting: str = "", **more: str
) -> Progress:
    """Where the move of web to b is; before it the generation was 3."""
    web = entries.understood(entries.service("web", **{"relocAddress": "192.0.2.10/24"} | more))
    found, known = entries.understood(state) if state else None, entries.understood(server)
    assert isinstance(web, Service)
    assert isinstance(known, Server)
    assert found is None or isinstance(found, ServiceState)
    seen = server_view(known, status_of(status) if status else None, START + 1)
    return progress(Watched(web, DN.parse(entries.dn("b")), 3), Reading(found, seen, resting))


def says(word: str = "", generation: int = 0, lease: str = "10", **more: str) -> Entry:
    said = {f"reloc{word}Service": entries.dn("web")} if word else {}
    return entries.status("b", relocLease=lease, relocActedOn=f"{ACTED}{generation}", **said, **more)


def at(holder: str | None, generation: int, **more: str) -> Entry:
    return entries.state("web", holder=holder, generation=generation, **more)


@pytest.mark.parametrize(
    ("state", "status", "stage", "named"),
    [
        (at("a", 3), says(), Stage.NOT_READY, "a holds it"),
        (None, says(), Stage.NOT_READY, "no server holds it"),
        (at("a", 3), None, Stage.NO_AGENT, "a holds it"),
        (at("a", 3), says(lease="0.5"), Stage.NO_AGENT, "(lease 0.5 s)"),
        (at("a", 3), says(relocMode="paused"), Stage.HELD_BACK, "b is paused"),
        (at("a", 3), says(relocProblem="web: no unit u"), Stage.NOT_READY, "no unit u"),
        (at("a", 3), says(relocProblem="fax: no unit u"), Stage.NOT_READY, "b has not reported"),
        (at("a", 3, candidate="b"), says(), Stage.CANDIDATE, "for a"),
        (at(None, 3, candidate="b"), says(), Stage.SETTLING, "b is ready"),
        (at("b", 4, previous="a"), says("Standby", 4), Stage.ACTIVATING, "generation 4"),
        (at("b", 4, previous="a"), says("Active", 2), Stage.ACTIVATING, "generation 4"),
        (at("b", 4), says(relocProblem="web: slow"), Stage.ACTIVATING, ": slow"),
        (at("b", 4, previous="a"), says("Active", 4), Stage.CLEANING_UP, "after a"),
        (at("b", 4), says("Active", 4, lease="0.5"), Stage.ACTIVATING, "generation 4"),
        (at("c", 5), says(), Stage.NOT_READY, "c holds it"),
    ],
)
def test_is_under_way(state: Entry | None, status: Entry | None, stage: Stage, named: str) -> None:
    """A report of an earlier generation, or of a server that is silent by now, is no proof that it runs."""
    found = follow(state=state, status=status)
    assert found.stage is stage
    assert not found.stage.is_final
    assert named in found.text


def test_a_fenced_server_is_under_way_whether_it_was_heard_or_not() -> None:
    fenced = entries.server("b", services=["web"], relocFenced="TRUE")
    for status in (None, says()):
        assert follow(state=at("a", 3), status=status, server=fenced).stage is Stage.FENCED


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"state": at("b", 4), "status": says("Active", 4)}, Stage.RUNS),
        ({"state": at("a", 3), "resting": "prime"}, Stage.DISPLACED),
        ({"state": at("a", 5), "server": entries.server("b"), "status": says()}, Stage.GIVEN_BACK),
        ({"state": None, "status": says("Active"), "relocExclusive": "FALSE"}, Stage.RUNS),
    ],
    ids=["done", "displaced", "given back", "shared"],
)
def test_is_at_its_end(given, expected: Stage) -> None:
    found = follow(**given).stage
    assert found is expected
    assert found.is_final


def test_a_candidate_after_two_changes_of_holder_still_waits() -> None:
    """Two others were served first."""
    seen = follow(state=at("a", 5, candidate="b"), status=says(), server=entries.server("b"))
    assert not seen.stage.is_final
