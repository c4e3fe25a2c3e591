"""How the options name a directory: what is spelled in another way is sent as RFC 4514 writes it."""

from __future__ import annotations

from pathlib import Path

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


def test_a_line_that_is_not_complete_yet_takes_the_agents_way_as_a_whole_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "relocd.toml"
    config.write_text('[directory]\nuris = ["ldap://a"]\nbase = "ou=relocd,dc=org"\n')
    monkeypatch.setenv("RELOCD_CONFIG", str(config))
    access = access_so_far({}, patience_s=1)
    assert (access.uris, access.base, access.timeout_s) == (("ldap://a",), "ou=relocd,dc=org", 1)
