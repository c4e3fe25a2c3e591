"""Passwords as slapd stores them."""

from __future__ import annotations

import pytest

from relocd.openldap.passwords import hashed, is_of

# slappasswd -h '{SSHA}' -s geheim
BY_SLAPPASSWD = "{SSHA}O8/nHaCrkp6xJ05PDhBUKJgJD9AWr4lZ"


@pytest.mark.parametrize("stored", [BY_SLAPPASSWD, "geheim"], ids=["hashed by slappasswd", "as it is"])
def test_a_stored_password_is_known_and_no_other_is(stored):
    assert is_of("geheim", stored)
    assert not is_of("Geheim", stored)


def test_each_hash_has_its_own_salt():
    assert is_of("geheim", hashed("geheim"))
    assert hashed("geheim") != hashed("geheim")


@pytest.mark.parametrize("stored", ["", "{SSHA}", "{SSHA}???", "{CRYPT}x"])
def test_what_is_no_hash_of_ours_is_no_password(stored):
    assert not is_of("geheim", stored)
