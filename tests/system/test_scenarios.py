"""Each story of `./dev scenario`, as a person plays it: its claims hold."""

import io

import pytest
from rich.console import Console

from tests.lab.scenarios.__main__ import STORIES
from tests.lab.timeline import Timeline

_REPEATS = {"ldap-pair": 2}


@pytest.mark.parametrize("name", STORIES)
def test_claims_of_the_story_hold(name):
    said = io.StringIO()
    timeline = Timeline(Console(file=said, width=120))
    with STORIES[name](_REPEATS.get(name, 1)) as story:
        story.play(timeline)
    assert timeline.holds, said.getvalue()
