"""Odd template sets: each is refused by name; a set that the system could not read is read again."""

from __future__ import annotations

import asyncio
import os

import pytest

from relocd.adapters.files.replacement import owner_ids
from relocd.adapters.templates.render_worker import syntax_error
from relocd.adapters.templates.template_sets import FolderTemplateSets
from relocd.errors import Invalid, Unavailable
from tests.adapters.templates.set_writing import MANIFEST, no_descriptors, write_set


@pytest.fixture
def sets(folder, tmp_path):
    sets = FolderTemplateSets([folder], tmp_path / "shipped")
    yield sets
    sets.close()


def _not_utf8(path):
    (path / os.fsdecode(b"caf\xe9.j2")).write_text("x")


def _line_break(path):
    (path / "a\nb.j2").write_text("x")


def _link_to_itself(path):
    (path / "b.j2").symlink_to("b.j2")


def _links_in_a_circle(path):
    (path / "b.j2").symlink_to("c.j2")
    (path / "c.j2").symlink_to("b.j2")


def _pipe(path):
    os.mkfifo(path / "b.j2")


def _huge(path):
    with (path / "b.j2").open("wb") as file:
        file.truncate(1 << 40)


def _very_deep(path):
    (path / "/".join("d" * 12)).mkdir(parents=True)


def _very_many(path):
    for number in range(1001):
        (path / f"{number}.j2").touch()


ODD_FOLDERS = [_not_utf8, _line_break, _link_to_itself, _links_in_a_circle, _pipe, _huge, _very_deep, _very_many]


@pytest.mark.parametrize("spoil", ODD_FOLDERS, ids=lambda spoil: spoil.__name__.strip("_"))
def test_an_odd_folder_is_refused_by_name_and_the_others_are_read(sets, folder, spoil):
    spoil(write_set(folder / "bad"))
    write_set(folder / "good")
    with pytest.raises(Invalid, match=f"^template set bad: {folder}/bad") as caught:
        sets.get("bad")
    assert str(caught.value).isprintable()
    assert sets.get("good").files
    assert sets.names() == ["bad", "good"]


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param("x = " + "[" * 3000 + "]" * 3000, id="lists nested 3,000 deep"),
        pytest.param("x = " + "{a = " * 3000 + "1" + "}" * 3000, id="tables nested 3,000 deep"),
        pytest.param(".".join("a" * 30_000) + " = 1", id="a name of 30,000 parts"),
        pytest.param("check_timeout_s = " + "1" * 5000, id="a number of 5,000 digits"),
        pytest.param("check_timeout_s = 0x" + "f" * 5000, id="a hexadecimal number of 5,000 digits"),
        pytest.param("check_timeout_s = 1e999", id="a number beyond all"),
        pytest.param("check_timeout_s = 1e9", id="a time of many years"),
        pytest.param('description = "' + "x" * 300_000 + '"', id="300,000 characters"),
        pytest.param('[[command]]\nwhen = "activate"\nrun = ["a\\u0000b"]', id="a NUL for a program"),
        pytest.param('description = "\0"', id="a NUL"),
        pytest.param(MANIFEST + "\r\r", id="a carriage return"),
    ],
)
def test_an_odd_manifest_is_refused_by_name(sets, folder, manifest):
    write_set(folder / "bad", manifest)
    with pytest.raises(Invalid, match=f"^template set bad: {folder}/bad/manifest.toml"):
        sets.get("bad")


def test_a_folder_of_sets_that_is_a_link_to_itself_is_named(folder, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    sets = FolderTemplateSets([tmp_path / "loop"], tmp_path / "shipped")
    assert sets.names() == []
    with pytest.raises(Invalid, match=str(tmp_path / "loop")):
        sets.get("a")


@pytest.mark.parametrize("name", ["ro\0ot", "", "no such user", "\udcff"])
def test_an_owner_that_can_be_nobody_is_named(name):
    with pytest.raises(Invalid, match=r"^/etc/a: this server has no user "):
        owner_ids(name, "root", "/etc/a")


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("{% for a in b %}" * 25 + "{% endfor %}" * 25, id="25 loops within each other"),
        pytest.param("{{ " + "(" * 3000 + ")" * 3000 + " }}", id="3,000 brackets"),
        pytest.param("{{ x" + "|upper" * 3000 + " }}", id="3,000 filters"),
    ],
)
def test_a_template_that_is_nested_too_deeply_is_named(sets, folder, template):
    path = write_set(folder / "a")
    (path / "a.j2").write_text(template)
    problem = syntax_error(str(path), "a.j2")
    assert problem is not None
    assert problem.startswith("a.j2")
    assert "nested too deeply" in problem


@pytest.mark.parametrize("name", [".hidden.j2", "a.j2~", ".git/a.j2", "../other.j2"])
def test_a_template_cannot_include_what_is_not_checked(folder, name):
    path = write_set(folder / "a")
    (path / ".git").mkdir()
    for hidden in (".hidden.j2", "a.j2~", ".git/a.j2", "../other.j2"):
        (path / hidden).write_text("unchecked")
    (path / "a.j2").write_text("{% include '" + name + "' %}")
    assert syntax_error(str(path), name) is not None


class TestShortOfDescriptors:
    def test_a_set_that_could_not_be_read_is_read_with_the_next_get(self, sets, folder):
        write_set(folder / "a")
        with no_descriptors(), pytest.raises(Unavailable, match=r"^template set a: .*Too many open files"):
            sets.get("a")
        assert sets.get("a").files

    async def test_listeners_are_called_when_it_can_be_read_again(self, sets, folder):
        write_set(folder / "a")
        heard = asyncio.Event()
        sets.watch(heard.set)
        with no_descriptors(), pytest.raises(Unavailable):
            sets.get("a")
        with pytest.raises(Unavailable):
            sets.get("a")
        async with asyncio.timeout(10):
            await heard.wait()
        assert sets.get("a").files

    async def test_a_wrong_set_is_not_read_again(self, sets, folder):
        path = write_set(folder / "a", "x = ")
        sets.watch(lambda: None)
        with pytest.raises(Invalid):
            sets.get("a")
        with no_descriptors(), pytest.raises(Invalid, match="not TOML"):
            sets.get("a")
        assert path.exists()
