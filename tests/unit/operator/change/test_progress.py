"""How far an order has come true: the state and the new server's own word in, a sentence out."""

from __future__ import annotations

import pytest

from relocd.model.csn import csn_time_s
from relocd.model.dn import DN
from relocd.model.entries import Entry, Server, Service, ServiceState
from relocd.operator.change.progress import End, Progress, Reading, Watched, progress
from relocd.operator.status.server_status import server_status
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
    seen = server_view(known, server_status(status) if status else None, START + 1)
    return progress(Watched(web, DN.parse(entries.dn("b")), 3), Reading(found, seen, resting))


def says(word: str = "", generation: int = 0, lease: str = "10", **more: str) -> Entry:
    said = {f"reloc{word}Service": entries.dn("web")} if word else {}
    return entries.status("b", relocLease=lease, relocActedOn=f"{ACTED}{generation}", **said, **more)


def at(holder: str | None, generation: int, **more: str) -> Entry:
    return entries.state("web", holder=holder, generation=generation, **more)


@pytest.mark.parametrize(
    ("state", "status", "text"),
    [
        (at("a", 3), says(), "a holds it; b has not reported yet that it is ready"),
        (None, says(), "no server holds it; b has not reported yet that it is ready"),
        (at("a", 3), None, "a holds it; b has never been heard: its agent does not run"),
        (at("a", 3), says(lease="0.5"), "a holds it; b has been silent for 1 s (lease 0.5 s): its agent does not run"),
        (at("a", 3), says(relocMode="paused"), "a holds it; b is paused"),
        (at("a", 3), says(relocProblem="web: no unit u"), "a holds it; b is not ready: no unit u"),
        (at("a", 3), says(relocProblem="fax: no unit u"), "a holds it; b has not reported yet that it is ready"),
        (at("a", 3, candidate="b"), says(), "b is ready and candidate, and waits for a to release it"),
        (at(None, 3, candidate="b"), says(), "b is ready and candidate, and takes over when its candidacy has settled"),
        (at("b", 4, previous="a"), says("Standby", 4), "b holds it (generation 4) and activates it"),
        (at("b", 4, previous="a"), says("Active", 2), "b holds it (generation 4) and activates it"),
        (at("b", 4), says(relocProblem="web: slow"), "b holds it (generation 4) and activates it: slow"),
        (at("b", 4, previous="a"), says("Active", 4), "b runs it and cleans up after a"),
        (at("b", 4), says("Active", 4, lease="0.5"), "b holds it (generation 4) and activates it"),
        (at("c", 5), says(), "c holds it; b has not reported yet that it is ready"),
    ],
)
def test_is_under_way(state: Entry | None, status: Entry | None, text: str) -> None:
    """A word of an earlier tenure, or of a server that is silent by now, is no proof that it runs."""
    assert follow(state=state, status=status) == Progress(text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"state": at("b", 4), "status": says("Active", 4)}, Progress("b runs it, and cleanup is done", End.DONE)),
        (
            {"state": at("a", 3), "resting": "prime"},
            Progress("stays stopped on b while prime displaces it there", End.DONE),
        ),
        (
            {"state": at("a", 5), "server": entries.server("b"), "status": says()},
            Progress("b has given it back to a (generation 5)", End.GIVEN_BACK),
        ),
        (
            {"state": None, "status": says("Active"), "relocExclusive": "FALSE"},
            Progress("b runs it", End.DONE),
        ),
    ],
    ids=["done", "rests", "given back", "shared"],
)
def test_is_at_its_end(given, expected: Progress) -> None:
    assert follow(**given) == expected


def test_a_candidate_after_two_changes_of_holder_still_waits() -> None:
    """Two others were served first."""
    seen = follow(state=at("a", 5, candidate="b"), status=says(), server=entries.server("b"))
    assert seen.end is None
