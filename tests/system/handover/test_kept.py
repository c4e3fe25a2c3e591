"""A move that cannot be done in full is not begun: the address never answers twice, and the service serves on."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.lab.deadline import until
from tests.lab.hosts.stage import ADDRESS
from tests.lab.probers.judgement import doubles, outage_ns
from tests.lab.slapd.ldif import link_ldif
from tests.lab.slapd.reading import State, state

MS = 1_000_000
NOTICEABLE_NS = 50 * MS
"""What this machine keeps a prober waiting, and no more than that."""
A_WHILE_S = 1.0


def holds(stage, server, generation):
    """A server holds the service alone, by the directory and by the kernels."""
    return state(stage.slapd, "web") == State(server, generation=generation) and stage.holders() == [server]


def ip(stage, server, *arguments):
    stage.lan[server].run(["ip", "address", *arguments])


@contextmanager
def read_only(folder):
    """A file system of its own there that nobody can write to."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_an_address_whose_mark_was_taken_away_moves_like_any_other(staged):
    stage = staged()
    stage.opens("web", template_sets=["unit"])
    ip(stage, "node1", "replace", f"{ADDRESS}/24", "dev", "eth0")
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        stage.slapd.modify(link_ldif("web", "node2"))
        assert watch.until("node2", 5)
        until(lambda: holds(stage, "node2", 2))
    assert not doubles(watch.probes)


@pytest.mark.parametrize("where", [(f"{ADDRESS}/32", "eth0"), (f"{ADDRESS}/32", "lo")], ids=["eth0", "lo"])
@pytest.mark.parametrize("server", ["node1", "node2"])
def test_a_copy_that_relocd_has_not_raised_refuses_a_move_until_it_is_removed(staged, server, where):
    """On the holder it would go on answering; on the taker the address could not be raised."""
    stage = staged()
    stage.opens("web", template_sets=["unit"])
    address, interface = where
    ip(stage, server, "add", address, "dev", interface)
    stage.slapd.modify(link_ldif("web", "node2"))
    until(lambda: f"ip address del {address} dev {interface}" in stage.words(server, "web"))
    ended = time.monotonic() + A_WHILE_S
    until(lambda: time.monotonic() > ended)
    assert not any(line.action.startswith(("drop", "stop")) for line in stage.nodes["node1"].lines())
    assert (state(stage.slapd, "web").holder, stage.unit("node1", "web").runs) == ("node1", True)
    assert stage.stands("node1", "web") == "active"
    ip(stage, server, "del", address, "dev", interface)
    until(lambda: holds(stage, "node2", 2))


def test_a_unit_that_does_not_stop_keeps_its_address_and_serves_on(staged):
    stage = staged()
    stage.opens("web", template_sets=["unit"])
    stage.unit("node1", "web").stick()
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        began = time.monotonic_ns()
        stage.slapd.modify(link_ldif("web", "node2"))
        until(lambda: "was not stopped" in stage.words("node1", "web"))
        ended = until(lambda: time.monotonic_ns() - began > A_WHILE_S * 1e9 and time.monotonic_ns())
    assert outage_ns(watch.probes, began, ended) < NOTICEABLE_NS
    assert (stage.holders(), stage.unit("node1", "web").runs) == (["node1"], True)
    until(lambda: stage.stands("node1", "web") == "active")
    assert not any(line.action.startswith("drop") for line in stage.nodes["node1"].lines())
    stage.unit("node1", "web").free()
    until(lambda: holds(stage, "node2", 2))


def test_without_room_for_its_records_a_server_is_not_ready(staged):
    """A holder that serves is not disturbed by that."""
    stage = staged()
    folder = stage.folder / "node2" / "units"
    marker = {"start": ["touch", str(folder / "u-web")], "stop": ["rm", "-f", str(folder / "u-web")]}
    tables = {'units.script."u-web"': marker | {"status": []}}
    stage.opens("web", on=["node1"], template_sets=["unit"])
    stage.start("node2", tables=tables)
    records = stage.folder / "node2" / "run" / "units"
    with read_only(records), stage.watch() as watch:
        assert watch.until("node1", 5)
        began = time.monotonic_ns()
        stage.slapd.modify(link_ldif("web", "node2"))
        until(lambda: "cannot be written" in stage.words("node2", "web"))
        ended = until(lambda: time.monotonic_ns() - began > A_WHILE_S * 1e9 and time.monotonic_ns())
        assert holds(stage, "node1", 1)
    assert outage_ns(watch.probes, began, ended) < NOTICEABLE_NS
    until(lambda: holds(stage, "node2", 2))
