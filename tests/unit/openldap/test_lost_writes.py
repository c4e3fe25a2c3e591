"""Which writes one server has and the other has not."""

from __future__ import annotations

import pytest

from relocd.openldap.connection import Version
from relocd.openldap.lost_writes import differing, is_ahead


def csn(second: int, provider: int = 1) -> str:
    return f"202611240000{second:02d}.000000Z#000000#{provider:03x}#000000"


@pytest.mark.parametrize(
    ("ours", "theirs", "ahead"),
    [
        ([csn(1)], [csn(1)], False),
        ([csn(1)], [csn(2)], False),
        ([csn(2)], [csn(1)], True),
        ([csn(1)], [csn(1), csn(5, 2)], False),
        ([csn(2)], [csn(1), csn(5, 2)], True),
    ],
)
def test_ahead_is_who_knows_a_change_of_any_provider_that_the_other_does_not(ours, theirs, ahead):
    assert is_ahead(ours, theirs) is ahead


@pytest.mark.parametrize(
    ("mine", "theirs", "names"),
    [
        pytest.param({"1": 1}, {"1": 1}, (), id="the same"),
        pytest.param({"1": 2}, {"1": 1}, ("cn=1",), id="changed here"),
        pytest.param({"1": 1, "2": 3}, {"1": 1}, ("cn=2",), id="here alone"),
        pytest.param({"1": 1}, {"1": 1, "2": 2}, ("cn=2",), id="deleted here"),
        pytest.param({"1": 1}, {"1": 4}, (), id="changed there, on its way"),
        pytest.param({"1": 1}, {"1": 1, "2": 4}, (), id="new there, on its way"),
    ],
)
def test_differing_are_those_that_only_a_write_here_explains(mine, theirs, names):
    """We know all changes up to second 3."""
    assert differing(versions(mine), versions(theirs), [csn(3)]) == names


def versions(seconds: dict[str, int]) -> dict[str, Version]:
    return {uuid: Version(f"cn={uuid}", csn(second)) for uuid, second in seconds.items()}
