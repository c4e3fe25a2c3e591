"""The commands of `./dev` on a bare Debian 12 and 13, on which nothing is installed yet."""

import json
import re

import pytest

from tests.lab.hosts.bare_machine import BareMachine

pytestmark = pytest.mark.timeout(600)
_MOST_PACKAGES = 130
"""More than the demo brings; the tests of all daemons bring twice as many."""


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request):
    with BareMachine(request.param) as machine:
        yield machine


def test_a_machine_that_cannot_run_the_demo_is_refused_before_anything_is_installed(machine):
    before = machine.packages()
    refused = machine.run("./dev", "demo", without="sys_admin")
    assert refused.returncode == 2
    assert "CAP_SYS_ADMIN" in refused.stderr
    assert machine.packages() == before


def test_the_demo_installs_what_it_needs_and_moves_both_services(machine):
    before = machine.packages()
    done = machine.run("sh", "-c", "./dev demo --moves 1 --json figures >/dev/null && cat figures")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["series"].keys() == {"echo", "web"}
    assert re.search(r"installed \d+ of \d+ packages", done.stderr)
    assert 0 < len(machine.packages() - before) < _MOST_PACKAGES


def test_debian_has_every_package_that_the_tests_need(machine):
    """Runs after the demo, which has read the package lists."""
    listed = machine.run("./dev", "packages", "test")
    assert "libldap-common" in listed.stdout.split()
    assert ("docker-cli" in listed.stdout.split()) is (machine.release == "trixie")
    found = machine.run("apt-get", "--simulate", "install", *listed.stdout.split())
    assert found.returncode == 0, found.stderr
