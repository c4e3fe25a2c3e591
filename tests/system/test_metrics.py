"""The figures that a real agent shows to Prometheus, read by Prometheus' own parser."""

from __future__ import annotations

import signal
import sys
import time

from prometheus_client.parser import text_string_to_metric_families

from tests.lab.deadline import until
from tests.lab.slapd.ldif import link_ldif
from tests.system.conftest import Pair, has, linked

LISTEN = "127.0.0.1:9815"
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"

Figures = dict[str, float]


def figures(pair: Pair) -> Figures:
    """Every sample of node1, as `name{label=value}`; counted and summed, without buckets."""
    argv = [sys.executable, "-c", FETCH, f"http://{LISTEN}/metrics"]
    text = pair.nodes["node1"].host.run(argv).stdout
    found: Figures = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_a_move_a_heartbeat_a_problem_and_a_reconnect_are_seen(pair: Pair) -> None:
    pair.service("web")
    pair.service("bad", addresses=[], template_sets=["nosuch"])
    pair.add(linked("node1"))
    node = pair.node("node1", {"metrics": {"listen": LISTEN}})
    until(lambda: time.time() - figures(pair)["relocd_heartbeat_confirmed_timestamp_seconds{}"] < 5)
    assert figures(pair)["relocd_held_services{}"] == 0
    assert figures(pair)["relocd_heartbeat_echo_seconds_count{}"] >= 1
    assert figures(pair)["relocd_lease_seconds{}"] == 10
    pair.slapd.modify(link_ldif("web", "node1"))
    until(lambda: has(node))
    until(lambda: figures(pair).get("relocd_services{state=active}") == 1)
    seen = figures(pair)
    assert seen["relocd_held_services{}"] == 1
    assert seen["relocd_generation{service=web}"] == 1
    assert seen["relocd_service_holds{service=web}"] == 1
    assert seen["relocd_service_state{service=web,state=active}"] == 1
    assert seen["relocd_directory_current{}"] == 1
    assert (seen["relocd_mode{mode=normal}"], seen["relocd_mode{mode=paused}"]) == (1, 0)
    assert seen["relocd_problems{}"] == 0
    for step in ("files", "raise", "all"):
        assert seen[f"relocd_step_seconds_count{{outcome=done,step={step}}}"] >= 1
        assert 0 < seen[f"relocd_step_seconds_sum{{outcome=done,step={step}}}"] < 10
    pair.slapd.modify(link_ldif("bad", "node1"))
    until(lambda: figures(pair)["relocd_problems{}"] >= 1)
    searches = seen["relocd_searches_total{}"]
    pair.slapd.stop()
    until(lambda: figures(pair)["relocd_directory_current{}"] == 0)
    pair.slapd.start()
    until(lambda: figures(pair)["relocd_searches_total{}"] > searches)


def test_a_reload_begins_anew_on_the_same_port(pair: Pair) -> None:
    pair.add(linked("node1"))
    node = pair.node("node1", {"metrics": {"listen": LISTEN}})
    before = sum(1 for _ in node.lines())
    node.agent.send_signal(signal.SIGHUP)
    node.wait_for(lambda line: line.message == "refresh complete", skip=before)
    assert figures(pair)["relocd_searches_total{}"] == 1


def test_a_port_that_is_taken_is_said_and_stops_nothing(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    node = pair.node("node1", {"metrics": {"listen": "192.0.2.250:9815"}})
    node.wait_for(lambda line: line.message.startswith("no metrics"))
    until(lambda: has(node))
