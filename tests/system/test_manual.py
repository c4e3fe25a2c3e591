"""The manual pages as `relocd install manual` writes them: whole, and without fault to those who read them."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from relocd.cli.main import app
from relocd.config.configuration import read_settings
from relocd.install.manual.pages import EXAMPLE
from relocd.model import settings
from relocd.openldap import role_command

RELOCD = str(Path(sys.executable).with_name("relocd"))
PAGES = ["man1/relocd.1", "man5/relocd.toml.5", "man8/relocd-agent.8", "man8/relocd-openldap.8"]
# The pages bear the version instead.
NO_DATE = re.compile(r"mandoc: .* WARNING: missing date.*\n")


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    subprocess.run([RELOCD, "install", "manual", "--root", str(root)], check=True, capture_output=True, timeout=30)
    return root / "usr/local/share/man"


def shown(manual: Path, page: str) -> str:
    """A page as a person reads it."""
    wide = os.environ | {"MANWIDTH": "400", "LC_ALL": "C.UTF-8", "PAGER": "cat"}
    argv = ["man", "--warnings", "--local-file", str(manual / page)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True, env=wide)
    assert done.stderr == ""
    return re.sub(r".\x08", "", done.stdout)


def test_every_page_is_there(manual: Path) -> None:
    assert sorted(str(path.relative_to(manual)) for path in manual.rglob("*.?")) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_mandoc_and_man_find_nothing_wrong(manual: Path, page: str) -> None:
    argv = ["mandoc", "-T", "lint", "-W", "warning", str(manual / page)]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stdout
    assert NO_DATE.sub("", told) == ""
    assert "`" not in shown(manual, page)


def test_every_command_and_option_is_described(manual: Path) -> None:
    text = shown(manual, "man1/relocd.1")
    for name, command in app.commands.items():
        assert f"relocd {name}" in text
        for option in command.params:
            assert option.param_type_name == "argument" or set(option.opts) <= set(re.findall(r"--[a-z-]+", text))


def test_an_option_is_described_with_variable_default_range_and_whether_it_is_required(manual: Path) -> None:
    text = shown(manual, "man1/relocd.1")
    options = [each for command in app.commands.values() for each in command.params]
    assert text.count("Required.") == sum(each.required and each.param_type_name == "option" for each in options)
    assert "Variable: RELOCD_PATIENCE. Default: 10. Range: 1<=x<=86400." in text
    assert "UNSET" not in text


def test_every_setting_is_described_with_its_default(manual: Path) -> None:
    text = shown(manual, "man5/relocd.toml.5")
    for table in dataclasses.fields(settings.Settings):
        assert f"[{table.name}]" in text
        kind = str(table.type).removeprefix("tuple[").removesuffix(", ...]")
        for key in dataclasses.fields(getattr(settings, kind)):
            assert re.search(rf'\b{key.name}(?: \(.*(?:required|default .+)\)|\."NAME"\.start)', text), key.name


def test_what_a_program_says_of_itself_is_in_its_page(manual: Path) -> None:
    text = shown(manual, "man8/relocd-openldap.8")
    about = " ".join(str(role_command.__doc__).split("\n\n")[2].split()[:4])
    for word in ("relocd-openldap release FILE", "--patience PATIENCE", about):
        assert word in text


def test_the_example_is_a_valid_configuration_and_the_one_of_the_pages(tmp_path: Path) -> None:
    (tmp_path / "relocd.toml").write_text(EXAMPLE)
    assert read_settings(tmp_path / "relocd.toml").directory.bind == "simple"
    assert EXAMPLE.partition("\n\n")[2] in (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
