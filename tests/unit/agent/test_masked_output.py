"""Whatever fails of a service: what its programs say is shown everywhere without its secrets."""

from __future__ import annotations

import json

import pytest

from relocd.errors import Failed
from relocd.model.masking import MASK
from tests.support.entries import server
from tests.support.fakes import until
from tests.unit.agent.cluster.cluster import running_cluster
from tests.unit.agent.lab import web

SECRET = "geheim-1"
SAID = f"cannot log in with {SECRET}"
WEB = web(relocSecret=f"key={SECRET}")
BOTH = (server("me", services=["web"]), server("twin"), WEB)


async def _start(lab):
    """The unit does not start."""
    lab.me.server.units.broken.add("web")
    return lab.me


async def _stop(lab):
    """The unit of the holder does not stop, when another server is about to take over."""
    lab.me.server.units.stuck.add("web")
    await lab.serves("me")
    lab.link("twin", "web")
    return lab.me


async def _check(lab):
    """The files of a server that is to take over do not pass their check."""
    lab.twin.server.files.refusal = "the check of a.conf fails"
    lab.twin.server.files.said = SAID
    await lab.serves("me")
    lab.link("twin", "web")
    return lab.twin


async def _look(lab):
    """The status command of a unit is killed."""

    async def state(name):
        raise Failed(f"the state of {name} is not known", SAID)

    lab.me.server.units.state = state
    return lab.me


def statuses(lab):
    """What all servers say in the directory."""
    return str([found for each in lab.directory.model.entries.values() if "relocmode" in (found := each.attributes)])


@pytest.mark.parametrize("failure", [_start, _stop, _check, _look], ids=lambda each: each.__name__.strip("_"))
async def test_no_secret_is_in_the_log_or_in_a_status(caplog, failure):
    async with running_cluster(*BOTH) as lab:
        for each in (lab.me, lab.twin):
            each.server.units.said["web"] = SAID
        node = await failure(lab)
        await node.says(f"cannot log in with {MASK}")
        await until(lambda: f"cannot log in with {MASK}" in statuses(lab))
        logged = caplog.text + str([record.__dict__ for record in caplog.records])
        assert SECRET not in logged + json.dumps(node.said.status) + statuses(lab)
