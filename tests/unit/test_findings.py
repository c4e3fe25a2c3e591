"""docs/findings.md lists every kind of finding once, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import pytest

from relocd.doctor.directory.acl_trials import Act
from relocd.doctor.finding import DoctorKind
from relocd.operator.change.obstacle import ObstacleKind, Proof
from relocd.operator.explain.explain import Idle
from relocd.operator.explain.need import NeedKind
from relocd.operator.status.health import HealthKind

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"


def listed(section: str) -> list[str]:
    """The kinds in the first column of a section's tables."""
    (text,) = [each for each in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE) if each.startswith(section)]
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    return [kind for row in rows for kind in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize(
    ("section", "kinds"),
    [
        ("Status", HealthKind),
        ("Orders", ObstacleKind),
        ("Proofs", Proof),
        ("Explain", [*NeedKind, *Idle]),
        ("Doctor", DoctorKind),
        ("Acts", Act),
    ],
)
def test_every_kind_is_in_the_page_once(section: str, kinds: Iterable[StrEnum]) -> None:
    assert sorted(listed(section)) == sorted(kinds)
