"""What happens on a server must not harm more than the service it concerns."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.deadline import until
from tests.lab.slapd.ldif import server_dn, service_dn
from tests.system.conftest import ADDRESS, PLAIN, Pair, actions, has, linked, problems, state, status

OTHER = "192.0.2.51"


def word(service: str, value: str) -> str:
    return f"dn: {service_dn(service)}\nchangetype: modify\nreplace: relocParameter\nrelocParameter: word={value}\n"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        pytest.param("{{ parameters.missing }}", "missing", id="undefined-name"),
        pytest.param(
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "longer than",
            id="endless",
        ),
        pytest.param("{{ ''.__class__.__mro__ }}", "unsafe", id="out-of-the-sandbox"),
        pytest.param("{% if %}", "line 1", id="syntax"),
    ],
)
def test_broken_template_raises_nothing_and_harms_no_other(pair: Pair, template: str, said: str) -> None:
    pair.template_set("broken", PLAIN.format(folder=pair.files), {"plain.j2": template})
    pair.service("web", template_sets=["broken"])
    pair.service("mail", addresses=[f"{OTHER}/24"])
    pair.add(linked("node1", "web", "mail"))
    one = pair.node("node1", {"agent": {"render_timeout_s": 0.5}})
    until(lambda: has(one, OTHER) and said in problems(one, "web"))
    assert not has(one)
    assert pair.word_of("web") is None
    (pair.sets / "broken" / "plain.j2").write_text("mended\n")
    until(lambda: has(one) and pair.word_of("web") == "mended" and not problems(one, "web"))


def test_template_that_breaks_later_keeps_the_last_good_file(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one))
    (pair.sets / "plain" / "plain.j2").write_text("{{ nonsense }}")
    until(lambda: "nonsense" in problems(one, "web"))
    assert has(one)
    assert pair.word_of("web") == "hello"
    one.host.run(["ip", "address", "delete", f"{ADDRESS}/24", "dev", "eth0"])
    until(lambda: has(one))


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        pytest.param(
            '[[file]]\nsource = "plain.j2"\ntarget = "/etc/relocd-evil.conf"\n', "allowed folders", id="target"
        ),
        pytest.param(PLAIN + '[[unit]]\nname = "ssh.service"\n', "allowed patterns", id="unit"),
    ],
)
def test_template_set_asks_for_what_is_not_allowed(pair: Pair, manifest: str, said: str) -> None:
    pair.template_set("greedy", manifest.format(folder=pair.files), {"plain.j2": "x"})
    pair.service("web", template_sets=["greedy"])
    pair.service("mail", addresses=[f"{OTHER}/24"])
    pair.add(linked("node1", "web", "mail"))
    one = pair.node("node1")
    until(lambda: has(one, OTHER) and said in problems(one, "web"))
    assert not has(one)
    assert not Path("/etc/relocd-evil.conf").exists()


@pytest.mark.parametrize("name", ["../evil", ".hidden", "a/b", "-x", "a..b"])
def test_service_name_cannot_become_a_path(pair: Pair, name: str) -> None:
    pair.service(name)
    pair.add(linked("node1", name))
    one = pair.node("node1")
    until(lambda: "cannot stand in" in problems(one, name))
    assert not has(one)
    assert list(pair.files.iterdir()) == []


def test_directory_asks_for_an_address_that_is_not_allowed(pair: Pair) -> None:
    pair.service("web", addresses=["198.51.100.7/24"], relocInterface="eth0")
    pair.service("mail", addresses=[f"{OTHER}/24"])
    pair.add(linked("node1", "web", "mail"))
    one = pair.node("node1")
    until(lambda: has(one, OTHER) and "allowed networks" in problems(one, "web"))
    assert not has(one, "198.51.100.7")


@contextmanager
def tiny(folder: Path) -> Iterator[None]:
    """A file system of 64 KiB at a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_target_folder_is_reported_and_tried_again(pair: Pair) -> None:
    with tiny(pair.files):
        filler = pair.files / "filler"
        pair.service("web", word="x" * 4000)
        pair.add(linked("node1"))
        one = pair.node("node1")
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(70000))
        pair.slapd.modify(
            f"dn: cn=node1,ou=servers,ou=relocd,dc=example,dc=org\nchangetype: modify\nadd: relocServiceLink\n"
            f"relocServiceLink: {service_dn('web')}\n"
        )
        until(lambda: "file system is full" in problems(one, "web"))
        assert not has(one)
        filler.unlink()
        until(lambda: has(one) and pair.word_of("web") == "x" * 4000)


def test_read_only_target_folder_keeps_what_serves(pair: Pair) -> None:
    with tiny(pair.files):
        pair.service("web")
        pair.add(linked("node1", "web"))
        one = pair.node("node1")
        until(lambda: has(one))
        subprocess.run(["mount", "-o", "remount,ro", str(pair.files)], check=True)
        pair.slapd.modify(word("web", "changed"))
        until(lambda: "read-only" in problems(one, "web"))
        assert has(one)
        assert pair.word_of("web") == "hello"
        subprocess.run(["mount", "-o", "remount,rw", str(pair.files)], check=True)
        until(lambda: pair.word_of("web") == "changed" and not problems(one, "web"))


@pytest.mark.parametrize(("unit", "said"), [("u-hangs", "u-hangs"), ("u-fails", "u-fails")])
def test_unit_that_does_not_start_is_reported_and_delays_no_other(pair: Pair, unit: str, said: str) -> None:
    pair.template_set(unit, PLAIN.format(folder=pair.files) + f'[[unit]]\nname = "{unit}"\n', {"plain.j2": "x"})
    pair.service("web", template_sets=[unit])
    pair.service("mail", addresses=[f"{OTHER}/24"])
    pair.add(linked("node1", "web", "mail"))
    one = pair.node("node1", {"units": {"timeout_s": 1.0}})
    until(lambda: has(one) and has(one, OTHER) and said in problems(one, "web"))
    until(lambda: state(one, "mail") == "active")


def test_failing_command_does_not_restart_what_serves(pair: Pair) -> None:
    command = '[[unit]]\nname = "u-good"\n[[command]]\nwhen = "activate"\nrun = ["false"]\n'
    pair.template_set("sour", PLAIN.format(folder=pair.files) + command, {"plain.j2": "x"})
    pair.service("web", template_sets=["sour"])
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: sum("action failed" in line.message for line in one.lines()) >= 3)
    assert has(one)
    assert not any(action.startswith(("restart", "reload")) for action in actions(one))


def test_unit_that_hangs_on_its_start_keeps_no_service_from_leaving(pair: Pair) -> None:
    pair.template_set("slow", PLAIN.format(folder=pair.files) + '[[unit]]\nname = "u-hangs"\n', {"plain.j2": "x"})
    pair.service("web", template_sets=["slow"])
    pair.add(linked("node1", "web"))
    one = pair.node("node1", {"units": {"timeout_s": 60.0}})
    until(lambda: has(one))
    pair.slapd.modify(f"dn: {server_dn('node1')}\nchangetype: modify\ndelete: relocServiceLink\n")
    until(lambda: not has(one) and pair.word_of("web") is None)


def test_address_that_another_host_has_is_waited_for(pair: Pair) -> None:
    other = pair.lan["node2"]
    other.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", "eth0"])
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1", {"wire": {"probes": 3}})
    until(lambda: other.mac in problems(one, "web"))
    assert not has(one)
    other.run(["ip", "address", "delete", f"{ADDRESS}/24", "dev", "eth0"])
    until(lambda: has(one) and not problems(one, "web"))


def test_foreign_address_is_never_touched(pair: Pair) -> None:
    host = pair.lan["node1"]
    host.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", "eth0"])
    try:
        pair.service("web")
        pair.add(linked("node1", "web"))
        one = pair.node("node1")
        until(lambda: ADDRESS in problems(one, "web"))
        pair.slapd.modify(
            "dn: cn=node1,ou=servers,ou=relocd,dc=example,dc=org\nchangetype: modify\ndelete: relocServiceLink\n"
        )
        until(lambda: not status(one)["services"])
        assert has(one)
    finally:
        host.run(["ip", "address", "delete", f"{ADDRESS}/24", "dev", "eth0"])


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_agent_that_ends_and_returns_changes_nothing_on_the_wire(pair: Pair, how: str) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one) and state(one, "web") == "active")
    before = len(actions(one))
    getattr(one, how)()
    assert has(one)
    one.start()
    until(lambda: state(one, "web") == "active")
    assert has(one)
    assert actions(one)[before:] == []


def test_link_that_went_while_the_agent_was_away_is_followed(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one))
    one.kill()
    pair.slapd.modify(
        "dn: cn=node1,ou=servers,ou=relocd,dc=example,dc=org\nchangetype: modify\ndelete: relocServiceLink\n"
    )
    one.start()
    until(lambda: not has(one) and pair.word_of("web") is None)


def test_address_that_somebody_removed_is_raised_again(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one) and state(one, "web") == "active")
    one.host.run(["ip", "address", "delete", f"{ADDRESS}/24", "dev", "eth0"])
    until(lambda: has(one))


def test_hangup_reads_the_configuration_again_and_refuses_a_wrong_one(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one))
    good = one.config.read_text()
    one.config.write_text(good + "\n[nonsense]\n")
    one.agent.send_signal(1)
    refused = one.wait_for(lambda line: line.message == "the new configuration is not used")
    assert "nonsense" in refused.fields["problem"]
    one.config.write_text(good.replace('"192.0.2.0/24", ', ""))
    one.agent.send_signal(1)
    until(lambda: "allowed networks" in problems(one, "web"))
    assert has(one)
    one.config.write_text(good)
    one.agent.send_signal(1)
    until(lambda: not problems(one, "web"))
    assert not any(action.startswith("drop") for action in actions(one))


def test_idle_agent_does_nothing(pair: Pair) -> None:
    pair.service("web")
    pair.add(linked("node1", "web"))
    one = pair.node("node1")
    until(lambda: has(one) and state(one, "web") == "active")
    before = actions(one)
    deadline = time.monotonic() + 1.0
    until(lambda: time.monotonic() > deadline)
    assert actions(one) == before
