"""The verdict over a story."""

import io

import pytest
from rich.console import Console

from tests.lab.timeline import Timeline


@pytest.mark.parametrize(
    ("claims", "verdict"),
    [([], False), ([True], True), ([True, False, True], False)],
    ids=["nothing was claimed", "all claims hold", "one does not"],
)
def test_a_story_holds_when_there_are_claims_and_all_of_them_hold(claims, verdict):
    output = io.StringIO()
    timeline = Timeline(Console(file=output))
    for holds in claims:
        timeline.claim("it is so", holds)
    timeline.close()
    assert timeline.holds is verdict
    assert ("did NOT hold" in output.getvalue()) is not verdict
