"""Who an agent is to the directory: one that starts again is the same server, two of one entry are a mistake."""

from __future__ import annotations

import time

from tests.lab.deadline import until
from tests.lab.hosts.stage import ADDRESS
from tests.lab.slapd.ldif import server_dn, server_ldif, service_ldif
from tests.lab.slapd.reading import State, attributes, state

LEASE_S = 2.0


def test_an_agent_that_was_killed_amid_a_move_serves_again_at_once(staged):
    """It had dropped the address and not told yet: nobody holds, and the directory still names it.

    Its last heartbeat is younger than the lease, so nobody can have found it dead: it does not wait for half a lease.
    """
    stage = staged(lease_s=10.0)
    stage.opens("web", template_sets=["unit"])
    stage.nodes["node1"].kill()
    stage.lan["node1"].run(["ip", "address", "delete", f"{ADDRESS}/24", "dev", "eth0"])
    stage.nodes["node1"].start()
    started_s = time.monotonic()
    until(lambda: stage.holders() == ["node1"])
    assert time.monotonic() - started_s < 2.5
    assert state(stage.slapd, "web") == State("node1", generation=1)


def test_of_two_agents_with_one_server_entry_the_second_begins_nothing(staged):
    """A cloned machine, and a service that no address tells of."""
    stage = staged(lease_s=LEASE_S)
    first, second = stage.names
    same = {"server": {"dn": server_dn("node1")}}
    stage.start(first, tables=same)
    entry = service_ldif("web", template_sets=["unit"], addresses=[], relocExclusive="TRUE")
    stage.slapd.add(entry + server_ldif("node1", services=["web"]))
    until(lambda: stage.unit(first, "web").runs)
    stage.start(second, tables=same)
    until(lambda: all("another agent" in problems(stage, name) for name in stage.names))
    ended_s = time.monotonic() + LEASE_S
    while time.monotonic() < ended_s:
        assert [stage.unit(name, "web").runs for name in (first, second)] == [True, False]
        until(lambda: stage.stands(first, "web") == "active")
    assert "another agent" in "".join(attributes(stage.slapd, f"cn=status,{server_dn('node1')}")["relocProblem"])
    stage.nodes[second].stop()
    until(lambda: not problems(stage, first), 2 * LEASE_S + 2)
    assert stage.unit(first, "web").runs


def problems(stage, name):
    """What the status of a server says is wrong with the server itself."""
    return " ".join(each["message"] for each in stage.status(name).get("problems", ()))
