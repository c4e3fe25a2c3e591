"""The command line itself: what is wrong with it is said in words, with the exit code of the table in commands.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from relocd import __version__
from relocd.cli.main import app, run

RELOCD = [sys.executable, "-m", "relocd.cli.main"]
AGENT = {
    "server": "cn=a",
    "version": "1",
    "mode": "normal",
    "directory": {"state": "current", "since": "2026-11-24T12:00:34.543+00:00", "detail": ""},
    "services": [],
    "problems": [],
}


@pytest.fixture(autouse=True)
def no_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RELOCD_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param([], "Usage: relocd", id="nothing"),
        pytest.param(["stauts"], "'status'", id="a command that is misspelt"),
        pytest.param(["show", "[/x]"], "([/x])", id="markup"),
        pytest.param(["show", "\x1b[31m"], "(\\x1b[31m)", id="an escape sequence"),
        pytest.param(["show", "a\nb"], "(a\\nb)", id="a line break"),
        pytest.param(["move", "\udcff", "a"], "argument 2 '\\udcff'", id="an argument that is not UTF-8"),
        pytest.param(["move", "a\0b", "a"], "argument 2 'a\\x00b'", id="a NUL"),
        pytest.param(["status", "--watch", "nan"], "nan", id="a pause that is no number"),
        pytest.param(["move", "a", "b", "--wait", "--timeout", "nan"], "nan", id="a time that never ends"),
        pytest.param(["status", "--patience", "9" * 400], "--patience", id="a patience without end"),
        pytest.param(["status", "--uri", "ldap://2001:db8::3:389", "--base", "dc=x"], "--uri", id="a URI"),
        pytest.param(["status", "--uri", "ldap://a", "--base", "example"], "--base", id="a base"),
        pytest.param(["status", "--uri", "ldap://a", "--base", " "], "--base", id="an empty base"),
        pytest.param(["status", "--uri", "ldap://a", "--bind-dn", "admin"], "--bind-dn", id="an identity"),
        pytest.param(
            ["init-pair", "--server-id", "1", "--peer", "ldap://a:x", "--password-file", "/"], "'x'", id="peer"
        ),
        pytest.param(["status", "--watch", "--json"], "--watch", id="two that exclude each other"),
        pytest.param(["install"], "systemd, completion, manual", id="a choice that is left out"),
    ],
)
def test_a_wrong_line_is_named_and_exits_with_2(line: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert all(each.isprintable() for each in shown.splitlines())


@pytest.mark.parametrize(
    "line",
    [
        ["status", "--uri", "ldap://127.0.0.1:1", "--base", "dc=x", "--bind-dn", "cn=a"],
        ["move", "web", "a", "--uri", "ldap://127.0.0.1:1", "--base", "dc=x", "--bind-dn", "cn=a"],
        ["init-pair", "--server-id", "1", "--peer", "ldap://a", "--socket", "/none"],
    ],
)
def test_a_password_that_everyone_may_read_is_refused_before_it_is_used(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    password = tmp_path / "password"
    password.write_text("geheim\n")
    password.chmod(0o604)
    assert run([*line, "--password-file", str(password)]) == 2
    assert f"chmod o-rwx {password}" in capsys.readouterr().err
    password.chmod(0o600)
    assert run([*line, "--password-file", str(password)]) in {1, 3}


def test_the_nearest_command_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    run(["stauts"])
    assert capsys.readouterr().err.count("'status'") == 1


def test_the_version_by_option_and_by_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert (run(["--version"]), run(["version"])) == (0, 0)
    assert capsys.readouterr().out == f"{__version__}\n" * 2


@pytest.mark.parametrize("line", [["-h"], ["--help"], ["move", "-h"]])
def test_help(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 0
    assert capsys.readouterr().out.startswith("Usage: relocd ")


def test_every_command_stands_in_one_group(capsys: pytest.CaptureFixture[str]) -> None:
    run(["-h"])
    shown = capsys.readouterr().out.splitlines()
    groups = [line for line in shown if line.endswith(":") and line != "Options:"]
    assert groups == ["See:", "Act:", "This server:", "Set up:"]
    for name in app.commands:
        assert sum(line.startswith(f"  {name} ") for line in shown) == 1


@pytest.mark.parametrize("name", app.commands)
def test_every_argument_and_option_is_described_and_a_duration_has_its_unit(name: str) -> None:
    command = app.commands[name]
    for parameter in command.params:
        assert parameter.help, parameter
        if parameter.name.endswith("_s"):
            assert "SECONDS" in parameter.make_metavar(click.Context(command)), parameter


def test_a_pause_may_be_left_out_before_another_option() -> None:
    status = app.commands["status"]
    lines = (["--watch"], ["--watch", "--base", "x"], ["--watch", "7"], ["--watch=7"], [])
    assert [status.make_context("status", line).params["every_s"] for line in lines] == [2, 2, 7, 7, None]


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "null",
        "7",
        "{}",
        "[" * 5000,
        "\udcff",
        json.dumps(AGENT | {"services": {}}),
        json.dumps(AGENT | {"services": [{}]}),
        json.dumps(AGENT | {"problems": ["x"]}),
        json.dumps(AGENT | {"more": float("nan")}),
        json.dumps(AGENT)[:-1] + ', "more": 1e999}',
    ],
)
def test_a_status_of_another_shape_is_named(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = tmp_path / "status.json"
    status.write_text(content, errors="surrogateescape")
    assert run(["show", "--status", str(status)]) == 2
    assert str(status) in capsys.readouterr().err


@pytest.mark.parametrize("line", [[], ["--directory"], ["--uri", "ldap://127.0.0.1:1"]])
def test_doctor_without_a_directory_exits_with_3(line: list[str], tmp_path: Path) -> None:
    assert run(["doctor", "--config", str(tmp_path / "none"), *line]) == 3


def test_a_status_with_an_odd_time_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = tmp_path / "status.json"
    status.write_text(json.dumps(AGENT | {"directory": {"state": "current", "since": "[/x]", "detail": "[/x]"}}))
    assert run(["show", "--status", str(status)]) == 1
    assert "[/x]" in capsys.readouterr().out


@pytest.mark.parametrize("size", ["²", "9" * 5000, "-1", "", "0x50"])
@pytest.mark.parametrize("name", ["COLUMNS", "LINES"])
def test_a_size_of_the_screen_that_is_none_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, size: str
) -> None:
    status = tmp_path / "status.json"
    status.write_text(json.dumps(AGENT))
    monkeypatch.setenv(name, size)
    assert run(["show", "--status", str(status)]) == 1
    assert AGENT["server"] in capsys.readouterr().out


@pytest.mark.parametrize("place", ["", "/", ".", "folder", "folder/"])
@pytest.mark.parametrize("command", ["show", "pause", "resume", "drain"])
def test_a_status_that_is_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    assert run([command, "--status", place]) in {2, 3}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("exec >&-; exec {relocd} version", 0),
        ("exec >&- 2>&-; exec {relocd} stauts", 2),
        ("exec >/dev/full; exec {relocd} version", 1),
    ],
)
def test_output_that_nobody_takes_is_no_traceback(line: str, code: int) -> None:
    done = subprocess.run(["sh", "-c", line.format(relocd=" ".join(RELOCD))], capture_output=True, check=False)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*RELOCD, "-h"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")
