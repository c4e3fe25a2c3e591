"""Modifications as LDIF that ldapmodify takes."""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.model.dn import DN
from relocd.model.ldif import ldif
from relocd.model.writes import Add, Delete, Increment, Modification, Replace

B = DN.parse("cn=b,dc=example,dc=org")


def test_each_modification_is_a_record_and_each_change_is_ended() -> None:
    changes = (Delete("a", (b"1", b"2")), Add("a", (b"3",)), Replace("b"), Increment("n", 2))
    assert ldif([Modification(B, changes), Modification(B, (Replace("c", (b"x",)),))]) == (
        "dn: cn=b,dc=example,dc=org\nchangetype: modify\n"
        "delete: a\na: 1\na: 2\n-\nadd: a\na: 3\n-\nreplace: b\n-\nincrement: n\nn: 2\n-\n\n"
        "dn: cn=b,dc=example,dc=org\nchangetype: modify\nreplace: c\nc: x\n-\n\n"
    )


@given(st.binary(min_size=1, max_size=8))
def test_a_value_is_plain_only_where_rfc_2849_allows_it(value: bytes) -> None:
    line = ldif([Modification(B, (Add("v", (value,)),))]).split("\n")[3]
    if line.startswith("v:: "):
        assert b64decode(line[4:], validate=True) == value
    else:
        assert line == f"v: {value.decode('ascii')}"
        assert value[:1] not in (b" ", b":", b"<")
        assert not set(value) & set(b"\0\r\n")


def test_a_name_beyond_ascii_is_encoded() -> None:
    assert ldif([Modification(DN.parse("cn=é"), (Replace("a"),))]).startswith("dn:: Y249w6k=\n")


def test_what_ldif_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="condition"):
        ldif([Modification(B, (Replace("a"),), assertion="(a=1)")])
