"""How far an order is carried out: the state and the report of the new server in, a stage and a sentence out."""

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
    row = server_view(known, status_of(status) if status else None, START + 1)
    return progress(Watched(web, DN.parse(entries.dn("b")), 3), Reading(found, row, resting))


def reports(word: str = "", generation: int = 0, lease: str = "10", **more: str) -> Entry:
    states = {f"reloc{word}Service": entries.dn("web")} if word else {}
    return entries.status("b", relocLease=lease, relocActedOn=f"{ACTED}{generation}", **states, **more)


def at(holder: str | None, generation: int, **more: str) -> Entry:
    return entries.state("web", holder=holder, generation=generation, **more)


@pytest.mark.parametrize(
    ("state", "status", "stage"),
    [
        (at("a", 3), reports(), Stage.NOT_READY),
        (None, reports(), Stage.NOT_READY),
        (at("a", 3), None, Stage.NO_AGENT),
        (at("a", 3), reports(lease="0.5"), Stage.NO_AGENT),
        (at("a", 3), reports(relocMode="paused"), Stage.HELD_BACK),
        (at("a", 3), reports(relocProblem="web: no unit u"), Stage.NOT_READY),
        (at("a", 3), reports(relocProblem="fax: no unit u"), Stage.NOT_READY),
        (at("a", 3, candidate="b"), reports(), Stage.CANDIDATE),
        (at(None, 3, candidate="b"), reports(), Stage.SETTLING),
        (at("b", 4, previous="a"), reports("Standby", 4), Stage.ACTIVATING),
        (at("b", 4, previous="a"), reports("Active", 2), Stage.ACTIVATING),
        (at("b", 4), reports(relocProblem="web: slow"), Stage.ACTIVATING),
        (at("b", 4, previous="a"), reports("Active", 4), Stage.CLEANING_UP),
        (at("b", 4), reports("Active", 4, lease="0.5"), Stage.ACTIVATING),
        (at("c", 5), reports(), Stage.NOT_READY),
    ],
)
def test_is_under_way(state: Entry | None, status: Entry | None, stage: Stage) -> None:
    """A report of an earlier generation, or of a server that is silent by now, is no proof that it runs."""
    found = follow(state=state, status=status)
    assert found.stage is stage
    assert not found.stage.is_final


@pytest.mark.parametrize(
    ("state", "status", "text"),
    [
        (at("a", 3), reports(relocProblem="web: no unit u"), "a holds it; b is not ready: no unit u"),
        (at("b", 4), reports(relocProblem="web: slow"), "b holds it (generation 4) and activates it: slow"),
        (at("a", 3, candidate="b"), reports(), "b is ready and candidate, and waits for a to release it"),
    ],
)
def test_the_text_names_the_servers_and_what_is_in_the_way(state: Entry, status: Entry, text: str) -> None:
    assert follow(state=state, status=status).text == text


def test_a_fenced_server_is_under_way_whether_it_was_heard_or_not() -> None:
    fenced = entries.server("b", services=["web"], relocFenced="TRUE")
    for status in (None, reports()):
        assert follow(state=at("a", 3), status=status, server=fenced).stage is Stage.FENCED


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"state": at("b", 4), "status": reports("Active", 4)}, Stage.RUNS),
        ({"state": at("a", 3), "resting": "prime"}, Stage.DISPLACED),
        ({"state": at("a", 5), "server": entries.server("b"), "status": reports()}, Stage.GIVEN_BACK),
        ({"state": None, "status": reports("Active"), "relocExclusive": "FALSE"}, Stage.RUNS),
    ],
    ids=["done", "displaced", "given back", "shared"],
)
def test_is_at_its_end(given, expected: Stage) -> None:
    found = follow(**given).stage
    assert found is expected
    assert found.is_final


def test_a_candidate_after_two_changes_of_holder_still_waits() -> None:
    """Two others were served first."""
    found = follow(state=at("a", 5, candidate="b"), status=reports(), server=entries.server("b"))
    assert not found.stage.is_final
