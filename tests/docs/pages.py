"""Which pages there are, what each needs, and which of their commands are run by another test.

A page is followed in a world in which the pages it comes `after` have been followed. `EVENTS` are what befalls the
machines when a section begins, because its text says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.docs.events import at, changed, directory_lost, files_unlinked, power_off, power_on, ran, with_programs
from tests.docs.world import World

__all__ = ["ELSEWHERE", "EVENTS", "FOREVER", "PAGES", "Page"]


@dataclass(frozen=True, slots=True)
class Page:
    """One page by its path; where nothing but `ELSEWHERE` runs its commands it needs no world."""

    path: str
    after: tuple[str, ...] = ()
    world: bool = True
    base_servers: bool = False


PAGES: Final = (
    Page("docs/README.md", world=False),
    Page("docs/install.md"),
    Page("README.md", after=("docs/install.md",)),
    Page("docs/triggers.md", after=("docs/install.md",)),
    Page("docs/commands.md", after=("docs/install.md",)),
    Page("docs/configuration.md", world=False),
    Page("docs/health.md", world=False),
    Page("docs/watching.md", after=("docs/install.md",)),
    Page("docs/history.md", after=("docs/install.md",)),
    Page("docs/findings.md", after=("docs/install.md",)),
    Page("monitoring/README.md", after=("docs/install.md",)),
    Page("docs/concepts.md", after=("docs/install.md",)),
    Page("docs/security.md", after=("docs/install.md",)),
    Page("docs/operations.md", after=("docs/install.md",)),
    Page("docs/troubleshooting.md", after=("docs/install.md",)),
    Page("docs/template-sets.md", after=("docs/install.md",)),
    Page("docs/directory.md", after=("docs/install.md",)),
    Page("templates/nginx/README.md", after=("docs/install.md",)),
    Page("templates/dnsmasq/README.md", after=("docs/install.md",)),
    Page("templates/data/README.md", after=("docs/install.md",)),
    Page("docs/automatic-failover.md", after=("docs/install.md",)),  # the last one: it leaves web in a cluster
    Page("docs/comparison.md", world=False),
    Page("docs/guarantees.md", world=False),
    Page("docs/rules.md", world=False),
    Page("docs/architecture.md", world=False),
    Page("docs/performance.md", world=False),
    Page("docs/ntp-pair.md", world=False),
    Page("CONTRIBUTING.md", world=False),
    Page("SECURITY.md", world=False),
    Page("docs/pair.md", base_servers=True),
)
_WEB: Final = "cn=web,ou=services,ou=relocd,dc=example,dc=org"
_TROUBLE: Final = "docs/troubleshooting.md"
_FAX: Final = """\
dn: cn=fax,ou=services,ou=relocd,dc=example,dc=org
objectClass: relocService
relocAddress: 198.51.100.9/24

dn: cn=node1,ou=servers,ou=relocd,dc=example,dc=org
changetype: modify
add: relocServiceLink
relocServiceLink: cn=fax,ou=services,ou=relocd,dc=example,dc=org
"""
_METRICS: Final = """printf '\\n[metrics]\\nlisten = "192.0.2.1:9815"\\n' >>/etc/relocd/relocd.toml"""
_PORT: Final = f"dn: {_WEB}\nchangetype: modify\nreplace: relocParameter\nrelocParameter: port=eighty\n"
EVENTS: Final[Mapping[tuple[str, str], Callable[[World], object]]] = {
    ("README.md", "relocd"): lambda world: at("node1", world),
    ("README.md", "Five minutes"): lambda world: at("node2", world),
    ("README.md", "A server is dead"): lambda world: power_off("node1", world),
    ("README.md", "It comes back"): lambda world: power_on("node1", world),
    ("docs/history.md", "The history"): lambda world: at("node1", world),
    ("docs/operations.md", "The directory is lost"): lambda world: at("node2", world),
    ("monitoring/README.md", "Prometheus and Grafana"): lambda world: ran("node1", _METRICS, world),
    ("monitoring/README.md", "The log"): lambda world: directory_lost("node1", world),
    ("docs/operations.md", "A server is dead"): lambda world: power_off("node2", world),
    ("docs/operations.md", "It comes back"): lambda world: power_on("node2", world),
    ("docs/automatic-failover.md", "The cluster"): files_unlinked,
    ("docs/automatic-failover.md", "The server dies"): lambda world: power_off("node1", world),
    ("docs/automatic-failover.md", "The server is back"): lambda world: power_on("node1", world),
    ("docs/pair.md", "The control suffix"): with_programs,
    ("docs/pair.md", "The primary is dead"): lambda world: power_off("node1", world),
    ("docs/pair.md", "It comes back"): lambda world: power_on("node1", world),
    (_TROUBLE, "A service runs nowhere"): lambda world: changed(_FAX, world),
    (_TROUBLE, "A change does not arrive"): lambda world: changed(_PORT, world),
    (_TROUBLE, "The agent does not start"): lambda world: ran(
        "node1", "sed -i s/networks/network/ /etc/relocd/relocd.toml; systemctl restart relocd", world
    ),
    (_TROUBLE, "The agent cannot bind"): lambda world: ran(
        "node1", "echo wrong >/etc/relocd/password; systemctl restart relocd --no-block", world
    ),
    (_TROUBLE, "The directory does not answer"): lambda world: ran("ldap1", "systemctl stop slapd", world),
    (_TROUBLE, "A candidate waits"): lambda world: ran(
        "node2", "systemctl kill --signal=KILL --kill-whom=main relocd; systemctl stop relocd", world
    ),
}
FOREVER: Final[Mapping[str, str]] = {"relocd agent": "refresh complete"}
"""Commands that end by Ctrl-C, each with what it says before."""
_BUILT: Final = ("tests/system/test_deb.py", '"packaging/build-deb"')
_INSTALLED: Final = ("tests/system/test_deb.py", '"dpkg", "--install"')
_ALERTS: Final = ("tests/monitoring/test_alerts.py", 'promtool("check"')
_DEV: Final = ("dev", "pip install -qq -e '.[agent]'")
_ORDER: Final = "ldapmodify -x -D cn=admin,dc=example,dc=org -W -H ldapi:/// <<END"
ELSEWHERE: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("README.md", "./dev demo"): ("tests/lab/demo/test_demo.py", 'program="demo"'),
    ("docs/performance.md", "./dev demo"): ("tests/lab/demo/test_demo.py", 'program="demo"'),
    ("README.md", "./dev deb"): _BUILT,
    ("README.md", "apt install ./dist/relocd_*.deb"): _INSTALLED,
    ("docs/triggers.md", "relocd install heartbeat"): ("tests/integration/test_triggers.py", "install(targets("),
    ("docs/ntp-pair.md", _ORDER): ("docs/pair.md", _ORDER),
    ("docs/ntp-pair.md", "chronyc -c ntpdata"): ("tests/lab/scenarios/ntp.py", '"ntpdata"'),
    ("docs/install.md", "./dev deb"): _BUILT,
    ("docs/install.md", "apt install ./dist/relocd_*.deb"): _INSTALLED,
    ("docs/install.md", "apt install nginx-light && systemctl disable --now nginx"): ("dev", "nginx-light"),
    ("docs/install.md", "python3 -m venv /opt/relocd && /opt/relocd/bin/pip install ."): _DEV,
    ("docs/install.md", "apt install python3-venv python3-dev gcc libldap-dev libsasl2-dev"): _DEV,
    ("docs/install.md", "python3 -m venv /opt/relocd && /opt/relocd/bin/pip install '.[agent]'"): _DEV,
    ("monitoring/README.md", "mkdir -p /etc/prometheus/relocd && cp alerts.yml /etc/prometheus/relocd/"): _ALERTS,
    ("monitoring/README.md", "promtool check config /etc/prometheus/prometheus.yml"): _ALERTS,
    ("monitoring/README.md", "systemctl reload prometheus"): _ALERTS,
    ("templates/dnsmasq/README.md", "dig +short @192.0.2.53 www.example.net"): (
        "tests/integration/test_shipped_net_sets.py",
        "resolved(",
    ),
    ("docs/operations.md", "/opt/relocd/bin/pip install --upgrade '.[agent]'"): _DEV,
}
"""Commands of a page that another file runs, with words of that file by which it does."""
