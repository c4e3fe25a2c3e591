"""The service `one` of the convergence tests: its address, goals and file."""

from __future__ import annotations

from relocd.model.template_set import Role
from relocd.reconcile.desired import Footprint
from tests.support.plans import goal, placed

__all__ = ["ACTIVE", "ADDRESS", "CONF", "NOTHING", "STANDBY", "V4"]

ADDRESS = "192.0.2.10/24"
V4 = placed(ADDRESS)
ACTIVE, STANDBY = goal("one", Role.ACTIVE, ADDRESS), goal("one", Role.STANDBY, ADDRESS)
NOTHING = Footprint("one")
CONF = "/etc/app/one.conf"
