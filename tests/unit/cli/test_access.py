"""How the options name a directory: what is spelled in another way is sent as RFC 4514 writes it."""

from __future__ import annotations

import pytest

from relocd.cli.access import access_so_far, dn_given

SPELLINGS = [
    ("", ""),
    ("ou=relocd,dc=example,dc=org", "ou=relocd,dc=example,dc=org"),
    ("ou=relocd, dc=example , dc=org", "ou=relocd,dc=example,dc=org"),
    ('cn="a, b", dc=org', "cn=a\\, b,dc=org"),
]


@pytest.mark.parametrize(("spelled", "sent"), SPELLINGS)
def test_a_name_is_sent_without_optional_spaces_and_quotes(spelled: str, sent: str) -> None:
    assert dn_given("--base", spelled) == sent


@pytest.mark.parametrize("spelled", [spelled for spelled, _ in SPELLINGS if spelled])
@pytest.mark.parametrize("name", ["base", "bind_dn"])
def test_base_and_identity_are(name: str, spelled: str) -> None:
    access = access_so_far({"uri": ("ldap://a",), name: spelled}, patience_s=1)
    assert getattr(access, name) == dict(SPELLINGS)[spelled]
