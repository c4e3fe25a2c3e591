"""When the restarts that a service manager counts are a crash loop."""

from __future__ import annotations

import pytest

from relocd.model.host import Restarts


@pytest.mark.parametrize(
    ("seen", "now", "count"),
    [
        pytest.param([], 0.0, 0, id="nothing seen"),
        pytest.param([(0.0, 7)], 1.0, 0, id="restarts before it was looked at"),
        pytest.param([(0.0, 0), (1.0, 1)], 2.0, 0, id="one restart"),
        pytest.param([(0.0, 0), (1.0, 1), (9.0, 2)], 10.0, 2, id="a second one"),
        pytest.param([(0.0, 0), (1.0, 5)], 2.0, 5, id="seen together"),
        pytest.param([(0.0, 0), (1.0, 1), (9.0, 2)], 70.0, 0, id="long ago"),
        pytest.param([(0.0, 0), (1.0, 1), (40.0, 2), (62.0, 3)], 63.0, 2, id="an old one and two new ones"),
        pytest.param([(0.0, 8), (1.0, 9), (2.0, 0), (3.0, 1)], 4.0, 0, id="started anew in between"),
        pytest.param([(0.0, 0), *((30.0 * each, each) for each in range(1, 20))], 571.0, 2, id="every thirty seconds"),
    ],
)
def test_restarts_within_a_minute(seen, now, count):
    restarts = Restarts()
    for at, number in seen:
        restarts.note(number, at)
    assert restarts.within_window(now) == count
