"""Agents of this version on a directory with the schema of relocd 0.1: everything of then works, before and after."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.lab.deadline import until
from tests.lab.probers.judgement import doubles
from tests.lab.slapd.ldif import cluster_dn, cluster_ldif, link_ldif, server_dn
from tests.lab.slapd.reading import attributes
from tests.support.schemas import FIRST_FOLDER
from tests.system.handover.test_takeover import is_settled

RELOCD = str(Path(sys.executable).with_name("relocd"))


def test_agents_move_a_service_before_during_and_after_the_upgrade(staged):
    stage = staged(schema_folder=FIRST_FOLDER)
    stage.opens("web")
    with stage.watch() as watch:
        assert watch.until("node1", 5)
        stage.slapd.modify(link_ldif("web", "node2"))
        until(lambda: is_settled(stage, "node2", 2))
        socket = str(stage.slapd.folder / "ldapi")
        subprocess.run([RELOCD, "schema", "--upgrade", "--socket", socket], check=True, timeout=30)
        stage.slapd.modify(link_ldif("web", "node1"))
        until(lambda: is_settled(stage, "node1", 3))
        assert watch.until("node1", 5)
    assert not doubles(watch.probes)
    assert not any("Traceback" in node.log_text() for node in stage.nodes.values())
    stage.slapd.add(cluster_ldif("pair", relocPreferred=server_dn("node1"), relocFailback="600"))
    assert attributes(stage.slapd, cluster_dn("pair"))["relocFailback"] == ["600"]
