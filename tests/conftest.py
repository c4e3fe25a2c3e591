"""What holds for all tests."""

import signal

from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# The machine may be busy with something else: how long an example takes says nothing about the code.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")

# A shell lets what it starts in the background ignore Ctrl-C, and all that is started there in turn.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_PARTS = (
    "tests/unit/",
    "tests/journeys/",
    "tests/simulation/",
    "tests/adapters/",
    "tests/integration/",
    "tests/bare/",
    "tests/fuzz/",
)


class _Machines(LoadScopeScheduling):
    """Tests that need several machines run one after the other in one process; those of single parts beside them."""

    def _split_scope(self, nodeid):
        return nodeid if nodeid.startswith(_PARTS) else "machines"


def pytest_xdist_make_scheduler(config, log):
    return _Machines(config, log)
