"""What docker/README.md tells a newcomer to do, done with a real engine: its claims hold."""

import io

import pytest
from rich.console import Console

from tests.lab.demo.containers import ContainersStory
from tests.lab.timeline import Timeline


@pytest.mark.timeout(600)  # it makes a base image and builds on it
def test_claims_of_the_page_hold():
    said = io.StringIO()
    timeline = Timeline(Console(file=said, width=120))
    with ContainersStory() as story:
        story.play(timeline)
    assert timeline.holds, said.getvalue()
