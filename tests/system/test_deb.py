"""The Debian package: built, installed, used, removed and purged, in a root of its own beside this machine's."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from relocd import __version__
from tests.lab.hosts.node import toml
from tests.lab.hosts.root import Root
from tests.lab.slapd.slapd import PASSWORD, ROOT_DN, SUFFIX, Slapd, base_ldif, server_dn, server_ldif, service_ldif

TREE = Path(__file__).parents[2]
OWN = "/etc/relocd/relocd.toml"
CONFFILE = "/etc/relocd/trigger.conf"

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def deb() -> Path:
    done = subprocess.run([TREE / "packaging/build-deb"], capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stderr
    return TREE / done.stdout.strip()


@pytest.fixture
def root(deb: Path) -> Iterator[Root]:
    """A root with the package."""
    with Root() as root:
        install(root, deb)
        yield root


def install(root: Root, deb: Path) -> str:
    """What the installation says on standard error."""
    shutil.copy(deb, root.path("/tmp/relocd.deb"))
    return root.run("dpkg", "--install", "--force-confold", "--force-unsafe-io", "/tmp/relocd.deb").stderr


def test_the_package_has_the_version_of_the_code(deb: Path) -> None:
    assert deb.name.startswith(f"relocd_{__version__}_")


def test_its_files_lie_where_the_package_may_put_them_and_tell_nothing_of_the_builder(
    deb: Path, tmp_path: Path
) -> None:
    subprocess.run(["dpkg-deb", "--extract", deb, tmp_path], check=True, timeout=60)
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if not path.is_dir() or path.is_symlink()]
    allowed = re.compile(r"opt/relocd/|etc/relocd/|lib/systemd/system/relocd.service|usr/s?bin/relocd|usr/share/")
    assert [path for path in files if not allowed.match(str(path))] == []
    found = subprocess.run(["grep", "-rl", "debian/relocd", tmp_path], capture_output=True, timeout=60, check=False)
    assert found.stdout == b""


def test_installed_it_starts_nothing_and_every_part_of_it_works(root: Root) -> None:
    """A real cycle of the agent against a real slapd, by the package's own libraries, which stay as they were."""
    content = base_ldif() + service_ldif("web", addresses=["192.0.2.50/24"]) + server_ldif("node1", services=["web"])
    assert root.run("relocd", "version").stdout == f"{__version__}\n"
    assert root.run("systemctl", "is-enabled", "relocd", check=False).stdout == "disabled\n"
    assert root.run("relocd", "check", check=False).returncode == 2
    with Slapd(content=content, durable=False) as slapd:
        root.path("/etc/relocd/password").write_text(f"{PASSWORD}\n")
        root.path("/etc/relocd/password").chmod(0o600)
        directory = {"uris": [slapd.uri], "base": SUFFIX, "bind": "simple", "bind_dn": ROOT_DN}
        directory["password_file"] = "/etc/relocd/password"
        root.path(OWN).write_text(toml({"server": {"dn": server_dn("node1")}, "directory": directory}))
        assert "ok    template set nginx" in root.run("relocd", "check").stdout
        assert "web" in root.run("relocd", "apply", "--dry-run", check=False).stdout
        assert "web" in root.run("relocd", "status", "--uri", slapd.uri, "--base", SUFFIX, check=False).stdout
    assert root.run("relocd-openldap", "--help").stdout.startswith("usage: relocd-openldap")
    for page in ("relocd", "relocd.toml", "relocd-agent", "relocd-openldap"):
        assert root.run("man", "--where", page).stdout.endswith(".gz\n")
    assert root.run("systemd-analyze", "verify", "/lib/systemd/system/relocd.service").stderr == ""
    for what in ("systemd", "manual", "completion"):
        assert root.run("relocd", "install", what).stdout.startswith("nothing to do: all files are there\n")
    root.run("test", "-f", "/usr/share/doc/relocd/templates/nginx/README.md")
    assert root.run("dpkg", "--verify", "relocd").stdout == ""
    assert (
        root.run(
            "sh", "-c", "dpkg --listfiles relocd | sort >/tmp/known; find /opt/relocd | sort | comm -13 /tmp/known -"
        ).stdout
        == ""
    )


def test_what_the_administrator_wrote_outlives_upgrade_and_removal_and_the_rest_a_purge_not(
    root: Root, deb: Path
) -> None:
    for path in (OWN, CONFFILE):
        root.path(path).write_text("# mine\n")
    root.path("/var/lib/relocd").mkdir()
    root.path("/var/lib/relocd/ledger").touch()
    said = install(root, deb)
    assert f"{OWN} line 1: " in said  # the agent refuses it, and does not start again
    assert root.path(CONFFILE).read_text() == "# mine\n"
    root.run("dpkg", "--remove", "relocd")
    assert [root.path(path).exists() for path in (OWN, CONFFILE, "/var/lib/relocd/ledger")] == [True] * 3
    gone = ("/opt/relocd", "/usr/bin/relocd", "/lib/systemd/system/relocd.service")
    assert [root.path(path).exists() for path in gone] == [False] * 3
    root.run("dpkg", "--purge", "relocd")
    assert [root.path(path).exists() for path in (OWN, CONFFILE, "/var/lib/relocd")] == [True, False, False]
    assert not Path("/opt/relocd").exists()  # all that was in a root of its own
