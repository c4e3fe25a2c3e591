"""Commands on a server that are told no directory take the way of its agent, as far as this user may."""

from __future__ import annotations

from pathlib import Path

import pytest

from relocd.cli.main import run
from relocd.errors import Invalid
from relocd.operator.access import Access, with_agent_access

NOBODY = Access((), "")
SMALLEST = '[directory]\nuris = ["ldap://a", "ldapi:///"]\nbase = "ou=relocd, dc=org"\n'
SIMPLE = (
    SMALLEST + 'bind = "simple"\nbind_dn = "cn=a, dc=org"\npassword_file = "{}"\nca_file = "/ca"\nstarttls = true\n'
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "relocd.toml"


def test_directories_and_base_are_the_agents(config: Path) -> None:
    config.write_text(SMALLEST)
    assert with_agent_access(NOBODY, config) == Access(("ldap://a", "ldapi:///"), "ou=relocd,dc=org")


def test_the_identity_is_the_agents_where_its_password_can_be_read(config: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    config.write_text(SIMPLE.format(password))
    anonymous = with_agent_access(NOBODY, config)
    assert (anonymous.bind_dn, anonymous.password_file) == ("", None)
    assert (anonymous.ca_file, anonymous.starttls) == (Path("/ca"), True)
    password.touch()
    own = with_agent_access(NOBODY, config)
    assert (own.bind_dn, own.password_file) == ("cn=a,dc=org", password)


@pytest.mark.parametrize("mine", [Access((), "", external=True), Access((), "", "cn=b", Path("/b"))])
def test_an_identity_that_is_given_stays(config: Path, tmp_path: Path, mine: Access) -> None:
    (tmp_path / "password").touch()
    config.write_text(SIMPLE.format(tmp_path / "password"))
    found = with_agent_access(mine, config)
    assert found.uris == ("ldap://a", "ldapi:///")
    assert (found.bind_dn, found.password_file, found.external) == (mine.bind_dn, mine.password_file, mine.external)


@pytest.mark.parametrize("named", [Access(("ldap://b",), "dc=x"), Access(("ldap://b",), ""), Access((), "dc=x")])
def test_what_is_named_is_not_mixed_with_the_configuration(config: Path, named: Access) -> None:
    config.write_text(SMALLEST)
    assert with_agent_access(named, config) == named


def test_without_a_configuration_nothing_changes(config: Path) -> None:
    assert with_agent_access(NOBODY, config) == NOBODY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "x = " + "[" * 3000,
        "directory = 7",
        "[directory]\nuris = []\nbase = 'dc=x'",
        "[directory]\nuris = 'ldap://a'\nbase = 'dc=x'",
        "[directory]\nuris = [7]\nbase = 'dc=x'",
        "[directory]\nuris = ['ldap://a:b']\nbase = 'dc=x'",
        "[directory]\nuris = ['ldap://a']\nbase = 'x'",
        SMALLEST + "ca_file = 7",
        SMALLEST + 'ca_file = "\\u0000"',
    ],
)
def test_a_configuration_that_names_no_directory_is_named(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(Invalid) as refused:
        with_agent_access(NOBODY, config)
    assert str(refused.value).startswith(f"{config}: ")


def test_commands_go_there(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(SMALLEST.replace("ldap://a", "ldap://127.0.0.1:1").replace(', "ldapi:///"', ""))
    monkeypatch.setenv("RELOCD_CONFIG", str(config))
    for name in ("RELOCD_URI", "RELOCD_BASE"):
        monkeypatch.delenv(name, raising=False)
    assert [run(line) for line in (["status"], ["explain", "web"], ["move", "web", "a"])] == [3, 3, 3]
    assert capsys.readouterr().err.count("ldap://127.0.0.1:1") == 3
