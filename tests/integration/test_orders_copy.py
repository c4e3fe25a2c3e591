"""An order at a read-only copy that refers its writes elsewhere: nothing is written there, and nobody is told so."""

from __future__ import annotations

from pathlib import Path

import pytest

from relocd.errors import Unavailable
from relocd.operator.change import orders
from relocd.operator.change.orders import carried_out
from tests.integration.orders_lab import access, guarded_directory, links
from tests.lab.slapd.slapd import SUFFIX

REFERS = f"""
dn: olcDatabase={{1}}mdb,cn=config
changetype: modify
add: olcSyncrepl
olcSyncrepl: rid=1 provider=ldap://127.0.0.1:9 searchbase="{SUFFIX}" bindmethod=simple retry="60 +"
-
add: olcUpdateRef
olcUpdateRef: ldap://127.0.0.1:9
"""


def test_a_referral_is_no_success(tmp_path: Path) -> None:
    with guarded_directory(tmp_path) as copy:
        copy.modify(REFERS)
        with pytest.raises(Unavailable, match="name another directory"):
            carried_out(access(tmp_path, copy.uri), orders.link("web", "node2"))
        assert links(copy, "node2") == ["fax"]
