"""What `relocd check` says of template sets and files beside each other, without a directory."""

from __future__ import annotations

import os

import pytest

from relocd.apply import checked, equipment
from relocd.config.configuration import read_settings
from tests.adapters.templates.set_writing import write_set
from tests.unit.config.test_configuration import SMALLEST

_UNIT = '[[unit]]\nname = "one.service"\n'
_FILE = '[[file]]\nsource = "a.j2"\ntarget = "/etc/one"\n'


@pytest.fixture
def said(tmp_path):
    before = os.umask(0o022)

    def say(more=""):
        config = tmp_path / "relocd.toml"
        config.write_text(f'{SMALLEST}{more}[paths]\ntemplate_sets = ["{tmp_path}/sets"]\n')
        return {each.subject: each for each in checked(config)}

    yield say
    os.umask(before)


@pytest.mark.parametrize(("manifest", "what"), [(_UNIT, "one.service"), (_FILE, "/etc/one")])
def test_sets_that_share_a_file_or_a_unit_are_warned_of(said, tmp_path, manifest, what):
    write_set(tmp_path / "sets" / "a", manifest)
    assert what not in said()
    write_set(tmp_path / "sets" / "b", manifest)
    assert "a and b" in said()[what].warning


def test_a_unit_that_is_only_restarted_may_be_shared(said, tmp_path):
    shared = _UNIT + 'active = "restart"\nstandby = "restart"\nremoved = "restart"\n'
    for name in ("a", "b"):
        write_set(tmp_path / "sets" / name, shared)
    assert "one.service" not in said()


@pytest.mark.parametrize(
    ("url", "is_wrong"), [("http://{{ address.host }}/", False), ("http://{{ address.host /", True)]
)
def test_the_texts_of_health_checks_are_looked_at(said, tmp_path, url, is_wrong):
    write_set(tmp_path / "sets" / "a", f'{_FILE}[[health]]\nrestarts = 0\n[[health]]\nhttp = "{url}"\n')
    problem = said()["template set a"].problem
    assert ("[[health]] 2 http: " in problem) == bool(problem) == is_wrong


def test_files_that_the_connection_needs_are_looked_at(said):
    assert said('ca_file = "/nowhere"\n')["[directory] ca_file"].problem
    assert "[directory] ca_file" not in said()


async def test_the_programs_of_health_checks_that_cannot_be_started_are_known(tmp_path):
    """By name or path, of a set and of relocd.toml; one that a parameter names is only known to the agent."""
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    config = tmp_path / "relocd.toml"
    checks = "".join(f'[[health]]\ncommand = ["{each}"]\n' for each in ("/bin/true", tmp_path / "plain"))
    config.write_text(f'{SMALLEST}[paths]\ntemplate_sets = ["{tmp_path}/sets"]\n{checks}')
    for name, program in {"a": "true", "b": "no-such-program", "c": "{{ parameters.program }}"}.items():
        write_set(tmp_path / "sets" / name, f'{_FILE}[[health]]\ncommand = ["{program}", "-q"]\n')
    found = await equipment(config, read_settings(config))
    assert found.missing == {"": (str(tmp_path / "plain"),), "b": ("no-such-program",)}
