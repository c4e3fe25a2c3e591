"""A write that is under way when the network fails: with a real kernel between writer and slapd."""

import asyncio

import pytest

from relocd.model.writes import Done, Unknown
from tests.adapters.ldap.writer_lab import NODES, directory, state, take, writer_for
from tests.lab.hosts.hosts import Lan, entered

pytestmark = pytest.mark.timeout(60)

SILENCE_S = 1.0


@pytest.fixture
def lan():
    with Lan(["agent", "provider"]) as lan:
        yield lan


async def write_into_the_cut(lan, slapd, cut_s):
    """The outcome of a write that is sent just after the cable was pulled, and the state long after it was back."""
    async with writer_for(slapd, silence_timeout_s=SILENCE_S, operation_timeout_s=0.5) as writer:
        assert await writer.apply(take(NODES[0], NODES[1])) == Done()
        lan["provider"].cut()
        outcome = await writer.apply(take(NODES[1], NODES[2]))
    await asyncio.sleep(cut_s)
    lan["provider"].heal()
    await asyncio.sleep(4.0)  # a packet that is sent again and again would be here by now
    return outcome, await state(slapd)


@pytest.mark.parametrize(("cut_s", "expected"), [(0.1, (NODES[2], 9)), (SILENCE_S, (NODES[1], 8))])
def test_what_is_not_there_after_the_silence_never_comes(lan, cut_s, expected):
    """The agent has ended its connection, and the kernel sends on for it, but not for longer than that.

    The short cut shows that it does send on.
    """
    with directory(host=lan["provider"]) as slapd, entered(lan["agent"]):
        outcome, found = asyncio.run(write_into_the_cut(lan, slapd, cut_s))
    assert isinstance(outcome, Unknown)
    assert found == expected
