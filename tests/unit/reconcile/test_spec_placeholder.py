"""`{name}` in a manifest becomes the service's name, or nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relocd.errors import Invalid
from relocd.model.template_set import Command, FileSpec, Moment, TemplateSet, UnitSpec
from relocd.reconcile.spec import expanded


def a_set(**parts) -> TemplateSet:
    return TemplateSet("nginx", Path("/sets/nginx"), "digest", **parts)


def test_targets_checks_units_and_commands_are_filled():
    given_set = a_set(
        files=(FileSpec("a.j2", "/etc/x/{name}/{name}.conf", checks=(("check", "{file}", "--for={name}"),)),),
        units=(UnitSpec("web@{name}.service"),),
        commands=(Command(Moment.CHANGE, ("tell", "{name}")),),
    )
    found = expanded(given_set, "web-1.a")
    assert found == a_set(
        files=(FileSpec("a.j2", "/etc/x/web-1.a/web-1.a.conf", checks=(("check", "{file}", "--for=web-1.a"),)),),
        units=(UnitSpec("web@web-1.a.service"),),
        commands=(Command(Moment.CHANGE, ("tell", "web-1.a")),),
    )


def test_a_set_without_the_placeholder_serves_any_name():
    plain = a_set(files=(FileSpec("a.j2", "/etc/x.conf"),))
    assert expanded(plain, "../what ever") == plain


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a..b", ".hidden", "-option", "a b", "a\nb", "ä", "{name}", "a%i", "a.", "_a"],
)
@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"files": (FileSpec("a.j2", "/etc/{name}.conf"),)}, id="target"),
        pytest.param({"units": (UnitSpec("x@{name}.service"),)}, id="unit"),
        pytest.param({"commands": (Command(Moment.CHANGE, ("x", "{name}")),)}, id="command"),
    ],
)
def test_a_name_that_could_mean_something_else_is_refused(name, parts):
    with pytest.raises(Invalid, match="cannot stand in"):
        expanded(a_set(**parts), name)


@given(st.text())
def test_a_target_never_leaves_its_folder(name):
    """Whatever the directory calls a service, its file lies in the folder that the manifest names."""
    try:
        found = expanded(a_set(files=(FileSpec("a.j2", "/etc/relocd/{name}.conf"),)), name)
    except Invalid:
        return
    target = Path(found.files[0].target)
    assert target.parent == Path("/etc/relocd")
    assert not target.name.startswith(".")
