"""The commands as a person runs them: what they print, and their exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.deadline import until
from tests.lab.hosts.node import Node
from tests.lab.slapd.ldif import service_dn
from tests.system.conftest import PLAIN, Pair, has, linked, state

RELOCD = str(Path(sys.executable).with_name("relocd"))


def relocd(*arguments: str, node: Node | None = None) -> subprocess.CompletedProcess[str]:
    argv = [RELOCD, *arguments]
    argv = argv if node is None else node.host.command([*argv, "--config", str(node.config)])
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def quiet(pair: Pair) -> Node:
    """A server whose agent does not run, linked to a service with a secret."""
    pair.template_set(
        "keyed",
        PLAIN.format(folder=pair.files),
        {"plain.j2": "word={{ parameters.word }}\n{% if 'key' in secrets %}key={{ secrets.key }}\n{% endif %}"},
    )
    pair.service("web", template_sets=["keyed"])
    pair.add(linked("node1", "web"))
    node = pair.node("node1")
    until(lambda: has(node))
    node.stop()
    return node


def change(pair: Pair, lines: str) -> None:
    pair.slapd.modify(f"dn: {service_dn('web')}\nchangetype: modify\n{lines}\n")


def test_apply_shows_first_and_then_does(pair: Pair, quiet: Node) -> None:
    change(pair, "replace: relocParameter\nrelocParameter: word=new")
    shown = relocd("apply", "--dry-run", node=quiet)
    assert shown.returncode == 0, shown.stderr
    assert "-word=hello\n+word=new\n" in shown.stdout
    assert "would install" in shown.stdout
    assert pair.word_of("web") == "word=hello"
    done = relocd("apply", node=quiet)
    assert done.returncode == 0, done.stderr
    assert "  install " in done.stdout
    assert pair.word_of("web") == "word=new"
    again = relocd("apply", "--dry-run", node=quiet)
    assert (again.returncode, "would " in again.stdout) == (0, False)


def test_apply_never_shows_a_secret(pair: Pair, quiet: Node) -> None:
    change(pair, "add: relocSecret\nrelocSecret: key=hunter2")
    shown = relocd("apply", "--dry-run", node=quiet)
    assert "hunter2" not in shown.stdout + shown.stderr
    assert "would install" in shown.stdout
    relocd("apply", node=quiet)
    assert "key=hunter2" in (pair.word_of("web") or "")


def test_apply_leaves_what_is_no_longer_linked(pair: Pair, quiet: Node) -> None:
    """A shared service; of an exclusive one the holder is for the agents to change."""
    unlink = "dn: cn=node1,ou=servers,ou=relocd,dc=example,dc=org\nchangetype: modify\ndelete: relocServiceLink\n"
    pair.slapd.modify(unlink)
    assert "drop" not in relocd("apply", node=quiet).stdout
    assert has(quiet)
    change(pair, "replace: relocExclusive\nrelocExclusive: FALSE")
    assert "would drop" in relocd("apply", "--dry-run", node=quiet).stdout
    assert has(quiet)
    assert relocd("apply", node=quiet).returncode == 0
    assert not has(quiet)
    assert pair.word_of("web") is None
    assert relocd("apply", node=quiet).returncode == 0


def test_apply_reports_what_it_cannot_do(pair: Pair, quiet: Node) -> None:
    change(pair, "add: relocAddress\nrelocAddress: 198.51.100.9/24")
    done = relocd("apply", node=quiet)
    assert done.returncode == 1
    assert "198.51.100.9/24" in done.stdout
    assert has(quiet)


def test_apply_logs_the_facts_of_what_failed(pair: Pair, quiet: Node) -> None:
    change(pair, "replace: relocParameter\nrelocParameter: word=new")
    shutil.rmtree(pair.files)
    done = relocd("apply", node=quiet)
    assert done.returncode == 1
    assert "action failed service=web" in done.stderr
    assert f"mkdir -p {pair.files}" in done.stdout


def test_apply_without_a_directory_changes_nothing(pair: Pair, quiet: Node) -> None:
    pair.slapd.kill()
    done = relocd("apply", node=quiet)
    assert done.returncode == 3
    assert pair.slapd.uri in done.stderr
    assert has(quiet)
    pair.slapd.start()


def test_apply_and_a_running_agent_exclude_each_other(pair: Pair) -> None:
    pair.add(linked("node1"))
    one = pair.node("node1")
    done = relocd("apply", node=one)
    assert done.returncode == 2
    assert str(one.agent.pid) in done.stderr


def test_check_names_what_is_wrong(pair: Pair, quiet: Node) -> None:
    fine = relocd("check", node=quiet)
    assert fine.returncode == 0, fine.stdout
    assert "template set nginx" in fine.stdout
    assert f"warning {pair.slapd.uri}: " in fine.stdout
    beyond = "/etc/relocd/dnsmasq/{name}.conf, relocd-dnsmasq@{name}.service"
    (dnsmasq,) = [line for line in fine.stdout.splitlines() if "template set dnsmasq: " in line]
    assert dnsmasq.endswith(beyond)
    pair.template_set("bad", '[[file]]\nsorce = "x"\n', {})
    wrong = relocd("check", node=quiet)
    assert wrong.returncode == 1
    assert "'sorce'" in wrong.stdout
    pair.template_set("syntax", PLAIN.format(folder=pair.files), {"plain.j2": "a\n{% endfr %}\n"})
    pair.template_set("owner", PLAIN.format(folder=pair.files) + 'owner = "nosuch"\n', {"plain.j2": "a"})
    (quiet.folder / "password").chmod(0o644)
    more = relocd("check", node=quiet)
    assert "plain.j2 line 2" in more.stdout
    assert "'nosuch'" in more.stdout
    assert "chmod o-rwx" in more.stdout
    assert "line 2" in wrong.stdout


@pytest.mark.parametrize("command", ["agent", "apply", "check"])
def test_wrong_configuration_is_refused_with_its_line(tmp_path: Path, command: str) -> None:
    config = tmp_path / "relocd.toml"
    config.write_text('[server]\ndn = "cn=a,dc=b"\n\n[directory]\nbase = "dc=b"\nuris = ["ldapi:///"]\ntimeout = 3\n')
    done = relocd(command, "--config", str(config))
    assert done.returncode == 2
    assert "line 7" in done.stdout + done.stderr
    assert "timeout" in done.stdout + done.stderr


def test_show_says_who_runs_what_and_what_is_wrong(pair: Pair) -> None:
    pair.service("web")
    pair.service("mail", addresses=["192.0.2.51/24"])
    pair.add(linked("node1", "web", "gone"))
    one = pair.node("node1")
    until(lambda: state(one, "web") == "active")
    access = ["--uri", pair.slapd.ldapi_uri, "--base", "ou=relocd,dc=example,dc=org", "--external"]
    status = ["--status", str(one.folder / "run" / "status.json")]
    done = relocd("show", *access, *status, "--json")
    assert done.returncode == 1
    shown = json.loads(done.stdout)
    services = {service["name"]: service for service in shown["directory"]["services"]}
    assert services["web"]["servers"] == [{"server": "node1", "role": "holder", "reason": "linked directly"}]
    assert services["mail"]["servers"] == []
    assert service_dn("gone") in shown["directory"]["problems"][0]["message"]
    assert shown["here"]["services"][0]["state"] == "active"
    pair.add(linked("node2", "web"))
    tables = relocd("show", *access, *status)
    assert {"holder", "chosen"} <= set(tables.stdout.split())
    one.stop()
    pair.slapd.kill()
    left = relocd("show", *access, *status)
    assert left.returncode == 3
    assert json.loads(relocd("show", *status, "--json").stdout)["agent_runs"] is False
    assert "web" in left.stdout
    assert "mail" in tables.stdout
    assert "Traceback" not in tables.stderr


def test_show_without_anything_to_show_says_what_to_do(tmp_path: Path) -> None:
    done = relocd("show", "--status", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "--uri" in done.stderr


def test_show_without_a_directory_says_so(tmp_path: Path) -> None:
    status = ["--status", str(tmp_path / "none")]
    done = relocd("show", "--uri", "ldap://127.0.0.1:9", "--base", "dc=example,dc=org", *status)
    assert done.returncode == 3
    assert "ldap://127.0.0.1:9" in done.stderr


@pytest.mark.parametrize(
    ("form", "begin"), [("schema", "attributetype"), ("ldif", "dn: cn=relocd,cn=schema,cn=config")]
)
def test_schema_is_printed(form: str, begin: str) -> None:
    done = relocd("schema", "--format", form)
    assert done.returncode == 0
    assert begin in done.stdout


def test_access_rules_are_printed_for_a_suffix_and_need_administrators():
    done = relocd("schema", "--acl", "--suffix", "o=x", "--admins", "cn=us,o=x", "--format", "ldif")
    assert done.returncode == 0
    assert "o=x" in done.stdout
    assert "olcAccess" in done.stdout
    without = relocd("schema", "--acl")
    assert without.returncode == 2
    assert "--admins" in without.stderr
