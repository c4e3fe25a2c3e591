"""The move in the first lines of the README is taken by a real slapd; the pages below docs/ have tests of their own."""

from __future__ import annotations

from tests.docs.machine import TREE
from tests.docs.markdown import blocks
from tests.lab.slapd.ldif import server_ldif
from tests.lab.slapd.slapd import Slapd


def test_the_move_moves():
    move = next(block for block in blocks(TREE / "README.md") if block.language == "ldif")
    with Slapd() as slapd:
        slapd.add(server_ldif("node2"))
        slapd.modify(move.text)
