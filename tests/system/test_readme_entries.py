"""The entries that the README gives to copy are taken by a real slapd, and the move in its first lines moves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab.slapd import Slapd

BLOCKS = re.findall(r"```ldif\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.DOTALL)
TREE = next(block for block in BLOCKS if block.startswith("dn: ou=relocd"))
MOVE = next(block for block in BLOCKS if "changetype: modify\nadd: relocServiceLink" in block)
ACCESS = next(block for block in BLOCKS if "groupOfNames" in block)


def hashed(ldif: str) -> str:
    return ldif.replace("{SSHA}...", "{SSHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=")


@pytest.fixture
def slapd():
    with Slapd(content="") as slapd:
        slapd.add(hashed(TREE))
        yield slapd


def test_the_tree_loads_and_the_move_moves(slapd):
    slapd.add("dn: cn=node2,ou=servers,ou=relocd,dc=example,dc=org\nobjectClass: device\nobjectClass: relocServer\n")
    slapd.modify(MOVE)


def test_the_identities_load(slapd):
    server, *others = hashed(ACCESS).split("\n\n")
    slapd.add("\n\n".join(others))
    slapd.modify("dn: cn=node1,ou=servers,ou=relocd,dc=example,dc=org\nchangetype: delete\n")
    slapd.add(server + "\n")
